"""Flags and their defaults are kubectl's."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import yaml

from edgeramp.cli import reach
from edgeramp.values.errors import ClusterError


@pytest.fixture
def kubeconfig(tmp_path: Path) -> str:
    contexts = [
        {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
        {"name": "there", "context": {"cluster": "c", "user": "u"}},
    ]
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "here", "contexts": contexts,
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}], "users": [{"name": "u", "user": {}}],
    }))  # fmt: skip
    return str(path)


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    reach.add_options(parser, all_namespaces=True)
    return parser.parse_args(words)


@pytest.mark.parametrize(("flags", "namespace"), [
    ((), "shop"), (("--context", "there"), "default"), (("-n", "lab"), "lab"),
])  # fmt: skip
def test_the_namespace_is_that_of_the_flag_or_the_context(
    kubeconfig: str, flags: tuple[str, ...], namespace: str
) -> None:
    assert reach.namespace(parsed("--kubeconfig", kubeconfig, *flags)) == namespace


def test_one_namespace_and_all_of_them_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("-n", "shop", "-A")
    assert "not allowed with" in capsys.readouterr().err


def test_without_credentials_it_is_said_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="write --kubeconfig"):
        reach.connect(parsed("--kubeconfig", str(tmp_path / "nothing")))
