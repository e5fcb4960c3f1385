"""The chart on a real API server: every object is accepted, and the operator may do its work and nothing else."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.apiserver import REPO, ApiServer, MissingBinary, find_binary

pytestmark = pytest.mark.apiserver

KINDS = "edgeramp.dev"
GATEWAY = "gateway.networking.k8s.io"
READ = ("get", "list", "watch")
ANYWHERE, HOME = "team-a", "edgeramp-system"

# namespace, group, resource[/subresource], verbs
MUST = [
    (ANYWHERE, KINDS, "edgemodels", (*READ, "patch")),
    (ANYWHERE, KINDS, "optimizationruns", (*READ, "create", "patch", "delete")),
    (ANYWHERE, KINDS, "rollouts", (*READ, "create", "patch", "delete")),
    (ANYWHERE, KINDS, "edgemodels/status", ("update",)),
    (ANYWHERE, KINDS, "optimizationruns/status", ("update",)),
    (ANYWHERE, KINDS, "rollouts/status", ("update",)),
    (ANYWHERE, KINDS, "rollouts/finalizers", ("update",)),
    (ANYWHERE, "batch", "jobs", (*READ, "create", "delete")),
    (ANYWHERE, "", "configmaps", ("create", "delete")),
    (ANYWHERE, "apps", "deployments", (*READ, "create", "patch", "delete")),
    (ANYWHERE, "", "services", (*READ, "create", "patch", "delete")),
    (ANYWHERE, GATEWAY, "httproutes", (*READ, "create", "patch", "delete")),
    (ANYWHERE, GATEWAY, "gateways", READ),
    (ANYWHERE, "", "pods", READ),
    ("", "", "nodes", READ),
    (ANYWHERE, "events.k8s.io", "events", ("create", "update")),
    (HOME, "coordination.k8s.io", "leases", (*READ, "create", "update", "delete")),
]
MUST_NOT = [
    (ANYWHERE, "", "secrets", (*READ, "create", "update", "patch", "delete")),
    (HOME, "", "secrets", READ),
    (ANYWHERE, "", "pods", ("create", "delete", "patch", "update")),
    (ANYWHERE, "", "pods/exec", ("create", "get")),
    (ANYWHERE, "", "pods/log", ("get",)),
    (ANYWHERE, "", "serviceaccounts/token", ("create",)),
    ("", "", "nodes", ("update", "patch", "delete")),
    ("", "", "namespaces", ("create", "delete", "update")),
    (ANYWHERE, KINDS, "edgemodels", ("create", "delete", "update")),
    (ANYWHERE, "batch", "jobs", ("update", "patch")),
    (ANYWHERE, GATEWAY, "gateways", ("create", "update", "patch", "delete")),
    (ANYWHERE, "coordination.k8s.io", "leases", ("get", "update")),
    ("kube-system", "", "configmaps", ("update", "patch")),
    (ANYWHERE, "rbac.authorization.k8s.io", "rolebindings", (*READ, "create", "update")),
    ("", "apiextensions.k8s.io", "customresourcedefinitions", ("create", "update", "patch", "delete")),
]


def _rows(table: list[tuple[str, str, str, tuple[str, ...]]]) -> list[tuple[str, str, str, str]]:
    return [
        (namespace, group, resource, verb) for namespace, group, resource, verbs in table for verb in verbs
    ]


@pytest.fixture(scope="module")
def kubectl(apiserver: ApiServer) -> list[str]:
    try:
        return [str(find_binary("kubectl")), "--kubeconfig", str(apiserver.kubeconfig())]
    except MissingBinary as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def installed(apiserver: ApiServer, kubectl: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rendered chart, applied; without the CRDs, which are there."""
    try:
        helm = find_binary("helm")
    except MissingBinary as missing:
        pytest.skip(str(missing))
    values = {
        "crds": {"install": False},
        "modelNamespaces": [ANYWHERE],
        "operator": {"replicas": 2, "priorityClass": {"create": True}},
        "store": {"podDisruptionBudget": {"enabled": True}},
        "jobs": {"priorityClass": {"create": True}, "quota": {"enabled": True, "memory": "16Gi"}},
        "networkPolicies": {"enabled": True},
    }
    rendered = subprocess.run(
        [str(helm), "template", "edgeramp", str(REPO / "charts/edgeramp"), "--namespace", HOME,
         "--kube-version", "1.37.0", "--values", "-"],
        input=json.dumps(values), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    path = tmp_path_factory.mktemp("chart") / "rendered.yaml"
    path.write_text(rendered)
    for namespace in (HOME, ANYWHERE):
        manifest = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        subprocess.run(
            [*kubectl, "apply", "-f", "-"], input=manifest.encode(), check=True, capture_output=True
        )
    return path


@pytest.fixture(scope="module")
def operator(apiserver: ApiServer, kubectl: list[str], installed: Path) -> Iterator[httpx.Client]:
    """Talks to the API server as the chart's ServiceAccount."""
    subprocess.run(
        [*kubectl, "apply", "--server-side", "-f", str(installed)], check=True, capture_output=True
    )
    trust = ssl.create_default_context(cafile=str(apiserver.ca))
    headers = {"Authorization": "Bearer test-operator"}
    with httpx.Client(base_url=apiserver.url, verify=trust, headers=headers, timeout=30) as client:
        yield client


def _allowed(client: httpx.Client, namespace: str, group: str, resource: str, verb: str) -> bool:
    name, _, subresource = resource.partition("/")
    attributes = {
        "namespace": namespace,
        "group": group,
        "resource": name,
        "subresource": subresource,
        "verb": verb,
    }
    answer = client.post(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        json={
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        },
    )
    assert answer.is_success, answer.text
    return bool(answer.json()["status"]["allowed"])


def test_the_api_server_accepts_every_object_strictly(kubectl: list[str], installed: Path) -> None:
    answer = subprocess.run(
        [*kubectl, "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", str(installed)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert "Warning" not in answer.stderr


def test_the_pods_of_the_chart_pass_the_restricted_profile(kubectl: list[str], installed: Path) -> None:
    label = [
        *kubectl,
        "label",
        "--overwrite",
        "namespace",
        HOME,
        "pod-security.kubernetes.io/warn=restricted",
    ]
    subprocess.run(label, check=True, capture_output=True)
    answer = subprocess.run(
        [*kubectl, "apply", "--server-side", "--force-conflicts", "-f", str(installed)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "would violate PodSecurity" not in answer.stderr


@pytest.mark.parametrize(("namespace", "group", "resource", "verb"), _rows(MUST))
def test_the_operator_may(
    operator: httpx.Client, namespace: str, group: str, resource: str, verb: str
) -> None:
    assert _allowed(operator, namespace, group, resource, verb)


@pytest.mark.parametrize(("namespace", "group", "resource", "verb"), _rows(MUST_NOT))
def test_the_operator_may_not(
    operator: httpx.Client, namespace: str, group: str, resource: str, verb: str
) -> None:
    assert not _allowed(operator, namespace, group, resource, verb)
