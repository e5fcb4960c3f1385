"""The chart's own test, as an administrator runs it."""

from __future__ import annotations

import subprocess

import pytest
from demo import paths
from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.cluster


def test_helm_test_passes_and_leaves_nothing(system: Kubectl) -> None:
    pod = f"{paths.RELEASE}-test"
    words = ("test", paths.RELEASE, "--namespace", paths.OPERATOR_NAMESPACE, "--timeout", "4m")
    done = subprocess.run(
        paths.cluster_command("helm", *words), cwd=paths.REPO, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr + system.run("logs", pod).out
    assert "Succeeded" in done.stdout
    system.wait("pod", pod, "delete", 30)
