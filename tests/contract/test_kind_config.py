"""kind-config.yaml is what kind itself accepts, and describes the same workers as the local cluster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from local.edgeramp_local import config, probe

CONFIG = config.REPO / "kind-config.yaml"
pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="kind's own types need Go")


@pytest.fixture(scope="module")
def kindcheck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """kind's decoder and validation, built from its pinned module."""
    target = tmp_path_factory.mktemp("kindcheck") / "kindcheck"
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
    subprocess.run(["go", "build", "-o", target, "."], cwd=config.LOCAL / "kindcheck", env=env, check=True)
    return target


def check(kindcheck: Path, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([kindcheck, path], text=True, capture_output=True, check=False)


@pytest.fixture(scope="module")
def decoded(kindcheck: Path) -> Any:
    done = check(kindcheck, CONFIG)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_kind_accepts_the_file(decoded: Any) -> None:
    assert decoded["name"] == config.KIND_CLUSTER
    assert decoded["networking"]["serviceSubnet"] == config.SERVICE_CIDR


def test_the_workers_are_those_of_the_local_cluster(decoded: Any) -> None:
    workers = [node["labels"] for node in decoded["nodes"] if node["role"] == "worker"]
    assert workers == [probe.own_labels(node) for node in config.NODES]
    assert [node["role"] for node in decoded["nodes"]].count("control-plane") == 1


def test_containerd_is_told_where_the_registry_is_configured(decoded: Any) -> None:
    assert 'config_path = "/etc/containerd/certs.d"' in "\n".join(decoded["containerdConfigPatches"])


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("labels:", "lables:", "field lables not found in type v1alpha4.Node"),
        ("role: worker", "role: wrker", '"wrker" is not a valid node role'),
        ("role: control-plane", "role: worker", "must have at least one control-plane node"),
        ("ipFamily: ipv4", "ipFamily: ipv5", "invalid ipFamily: ipv5"),
        ("10.96.0.0/16", "10.96.0.0/99", "invalid service subnet"),
        ("v1alpha4\n", "v1alpha9\n", "unknown apiVersion"),
        ("name: edgeramp", "name: Edge_Ramp", "not a valid cluster name"),
    ],
)
def test_kind_refuses_what_is_wrong(
    kindcheck: Path, tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    text = CONFIG.read_text()
    assert old in text
    wrong = tmp_path / "kind-config.yaml"
    wrong.write_text(text.replace(old, new))
    done = check(kindcheck, wrong)
    assert done.returncode == 1
    assert complaint in done.stderr
