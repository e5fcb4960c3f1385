"""Installing, uninstalling and installing again on a real API server: what users own stays."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.support.apiserver import REPO, ApiServer, MissingBinary, find_binary

pytestmark = pytest.mark.apiserver

RELEASE, NAMESPACE = "lifecycle", "lifecycle-system"
MODEL = REPO / "tests/contract/good_manifests/edgemodel-minimal.yaml"


class Tools:
    """helm and kubectl on the test's API server."""

    def __init__(self, server: ApiServer) -> None:
        self.kubeconfig = str(server.kubeconfig())
        self.binaries = {name: find_binary(name) for name in ("helm", "kubectl")}

    def run(self, tool: str, *words: str) -> str:
        command = [str(self.binaries[tool]), "--kubeconfig", self.kubeconfig, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(self, *options: str) -> None:
        chart = str(REPO / "charts/edgeramp")
        # --take-ownership: the test's server had the CRDs before, made by kubectl.
        self.run("helm", "upgrade", "--install", RELEASE, chart, "--namespace", NAMESPACE, "--create-namespace",
                 "--take-ownership", *options)  # fmt: skip

    def names(self, *kinds: str) -> set[str]:
        return set(
            self.run("kubectl", "--namespace", NAMESPACE, "get", ",".join(kinds), "--output", "name").split()
        )


@pytest.fixture
def tools(apiserver: ApiServer) -> Tools:
    try:
        return Tools(apiserver)
    except MissingBinary as missing:
        pytest.skip(str(missing))


def test_models_crds_and_the_stores_volume_survive_and_are_taken_over_again(
    tools: Tools, tmp_path: Path
) -> None:
    tools.install()
    tools.run("kubectl", "--namespace", NAMESPACE, "apply", "--filename", str(MODEL))
    kept = {"edgemodel.edgeramp.dev/digits", "persistentvolumeclaim/lifecycle-store"}

    tools.run("helm", "uninstall", RELEASE, "--namespace", NAMESPACE)

    assert kept <= tools.names("edgemodels", "persistentvolumeclaims")
    assert not tools.names("deployments", "services", "roles", "serviceaccounts")
    crds = tools.run("kubectl", "get", "crds", "--output", "name").split()
    assert {
        f"customresourcedefinition.apiextensions.k8s.io/{n}.edgeramp.dev" for n in ("edgemodels", "rollouts")
    } <= set(crds)

    tools.install()
    assert "deployment.apps/lifecycle" in tools.names("deployments")
    assert kept <= tools.names("edgemodels", "persistentvolumeclaims")


def test_crds_that_somebody_else_installs_are_left_alone(tools: Tools) -> None:
    tools.install()
    tools.install("--set", "crds.install=false")
    tools.names("edgemodels")  # fails when the kind is gone
