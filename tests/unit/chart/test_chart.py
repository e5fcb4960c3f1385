"""The Helm chart: strict values, restricted pods, least privilege, and reviewed renders."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.apiserver import MissingBinary, find_binary

from edgeramp.entry import settings as settings_of
from edgeramp.values.settings import Settings

REPO = Path(__file__).resolve().parents[3]
CHART = REPO / "charts" / "edgeramp"
GOLDEN = REPO / "tests" / "golden" / "chart"
PEM = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
FULL: dict[str, Any] = {
    "image": {"registry": "registry.example:5000", "tag": "1.2.3", "pullSecrets": ["pull"]},
    "images": {"courier": "registry.example/courier@sha256:" + "0" * 64},
    "operator": {"replicas": 2, "podLabels": {"team": "ml"}, "extraEnv": [{"name": "A", "value": "b"}]},
    "store": {"persistence": {"storageClassName": "fast"}, "nodeSelector": {"disk": "big"}},
    "signing": {"publicKeys": [PEM, PEM]},
    "priorityClass": {"create": True},
    "podDisruptionBudget": {"enabled": True},
    "networkPolicies": {"enabled": True, "namespaces": ["default", "team-a"]},
    "checks": {
        "hosts": ["prometheus.monitoring:9090"],
        "secrets": [{"namespace": "team-a", "name": "token"}],
    },
    "crds": {"install": False},
}


@pytest.fixture(scope="module")
def helm() -> Path:
    try:
        return find_binary("helm")
    except MissingBinary as missing:
        pytest.skip(str(missing))


def render(helm: Path, values: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        str(helm), "template", "edgeramp", str(CHART), "--namespace", "edgeramp-system", "--kube-version", "1.37.0",
        "--values", "-", *options,
    ]  # fmt: skip
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)


def objects(helm: Path, values: dict[str, Any]) -> list[dict[str, Any]]:
    answer = render(helm, values)
    assert answer.returncode == 0, answer.stderr
    return [d for d in yaml.safe_load_all(answer.stdout) if d]


def pods(helm: Path) -> Iterator[dict[str, Any]]:
    for found in objects(helm, FULL):
        if found["kind"] == "Deployment":
            yield found["spec"]["template"]["spec"]


def test_helm_lint_finds_nothing(helm: Path) -> None:
    answer = subprocess.run(
        [str(helm), "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize(("name", "values"), [("default", {"crds": {"install": False}}), ("full", FULL)])
def test_the_render_is_the_reviewed_one(helm: Path, name: str, values: dict[str, Any]) -> None:
    """UPDATE_GOLDEN=1 writes it anew; say in the commit why it changed."""
    answer = render(helm, values)
    assert answer.returncode == 0, answer.stderr
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(answer.stdout)
    assert answer.stdout == path.read_text(), f"{path} differs; look at it, then run with UPDATE_GOLDEN=1"


def test_the_crds_come_with_the_chart_and_stay_when_it_goes(helm: Path) -> None:
    crds = [o for o in objects(helm, {}) if o["kind"] == "CustomResourceDefinition"]
    assert len(crds) == 3
    assert all(c["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for c in crds)
    assert not [o for o in objects(helm, FULL) if o["kind"] == "CustomResourceDefinition"]


def test_the_operator_reads_what_the_chart_sets_and_the_defaults_agree(helm: Path) -> None:
    (settings,) = [o for o in objects(helm, {}) if o["metadata"]["name"] == "edgeramp-settings"]
    documented = set(re.findall(r"EDGERAMP_[A-Z_]+", settings_of.__doc__ or ""))
    assert set(settings["data"]) | {"EDGERAMP_IDENTITY"} == documented
    read = settings_of.read(settings["data"]).settings
    assert {f.name for f in fields(Settings) if getattr(read, f.name) != getattr(Settings(), f.name)} == {
        "images"
    }
    assert read.image("server-openvino").startswith("edgeramp/server-openvino:")


def test_public_keys_are_mounted_where_the_operator_reads_them(helm: Path) -> None:
    found = {o["metadata"]["name"]: o for o in objects(helm, FULL) if o["kind"] == "ConfigMap"}
    assert found["edgeramp-public-keys"]["data"] == {"key-0.pem": PEM, "key-1.pem": PEM}
    (operator, _) = pods(helm)
    (mount,) = [m for m in operator["containers"][0]["volumeMounts"] if m["name"] == "public-keys"]
    assert mount["mountPath"] == found["edgeramp-settings"]["data"]["EDGERAMP_PUBLIC_KEYS_DIR"]


def test_every_pod_is_restricted(helm: Path) -> None:
    found = list(pods(helm))
    assert len(found) == 2
    for pod in found:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert {"readinessProbe", "livenessProbe"} <= set(container)


def test_a_secret_of_checks_is_readable_by_name_in_its_namespace_only(helm: Path) -> None:
    roles = [o for o in objects(helm, FULL) if o["kind"] in ("Role", "ClusterRole")]
    (found,) = [o for o in roles if any("secrets" in r["resources"] for r in o["rules"])]
    assert (found["kind"], found["metadata"]["namespace"]) == ("Role", "team-a")
    assert found["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["token"], "verbs": ["get"]}
    ]


def test_no_role_has_a_wildcard_or_reads_secrets(helm: Path) -> None:
    rules = [r for o in objects(helm, {}) if o["kind"] in ("Role", "ClusterRole") for r in o["rules"]]
    assert len(rules) > 10
    for rule in rules:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert "secrets" not in rule["resources"]
        assert not {"impersonate", "escalate", "bind"} & set(rule["verbs"])


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"operator": {"replica": 2}}, "replica"),
        ({"operator": {"replicas": "two"}}, "/operator/replicas"),
        ({"signing": {"publicKeys": ["ssh-rsa AAAA"]}}, "/signing/publicKeys/0"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"jobs": {"memory": "2 GB"}}, "/jobs/memory"),
        ({"store": {"enabled": False}}, "store.host must name an OCI registry"),
    ],
)
def test_bad_values_are_refused_by_name(helm: Path, values: dict[str, Any], says: str) -> None:
    answer = render(helm, values)
    assert answer.returncode != 0
    assert says in answer.stderr


def test_every_value_is_described() -> None:
    """Also runs without Helm."""

    def undescribed(schema: dict[str, Any], path: str) -> Iterator[str]:
        for name, child in schema.get("properties", {}).items():
            if "description" not in child:
                yield f"{path}.{name}"
            yield from undescribed(child, f"{path}.{name}")

    schema = json.loads((CHART / "values.schema.json").read_text())
    assert not list(undescribed(schema, ""))

    def keys(values: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
        for name, value in values.items():
            child = schema.get("properties", {}).get(name)
            if child is None:
                yield f"{path}.{name}"
            elif isinstance(value, dict) and "properties" in child:
                yield from keys(value, child, f"{path}.{name}")

    assert not list(keys(yaml.safe_load((CHART / "values.yaml").read_text()), schema, ""))
