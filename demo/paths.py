"""Where things are: the checkout, the local cluster's files, the commands that the demo calls."""

from __future__ import annotations

import os
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
EXAMPLES = REPO / "examples"
CHART = REPO / "charts" / "edgeramp"
CLUSTER_TOOL = REPO / "local" / "cluster.py"
sys.path.insert(0, str(REPO / "local"))

from edgeramp_local import config as local  # noqa: E402

OPERATOR_NAMESPACE = "edgeramp-system"
RELEASE = "edgeramp"
NAMESPACE = "edgeramp-demo"
GATEWAY_NAMESPACE = local.GATEWAY_NAMESPACE
MODEL = "digits"
HOSTNAME = "digits.example"


def kubeconfig() -> Path:
    """Of the local cluster; $EDGERAMP_KUBECONFIG names another one."""
    named = os.environ.get("EDGERAMP_KUBECONFIG")
    return Path(named) if named else local.kubeconfig()


def scratch() -> Path:
    """For logs, traffic records and the signing key of this cluster: goes when the cluster goes."""
    folder = local.state_dir() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cluster_command(*words: str) -> list[str]:
    return [sys.executable, str(CLUSTER_TOOL), *words]


def kubectl() -> list[str]:
    """kubectl for the demo's cluster."""
    if named := os.environ.get("EDGERAMP_KUBECONFIG"):
        return ["kubectl", "--kubeconfig", named]
    return cluster_command("kubectl")


def environment() -> dict[str, str]:
    """For child processes: our packages can be imported from anywhere."""
    folders = (REPO, REPO / "operator", REPO / "images" / "harness")
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders)), "PYTHONUNBUFFERED": "1"}
