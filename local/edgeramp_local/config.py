"""Names, addresses and folders of the local cluster, in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
LOCAL = REPO / "local"

# A machine can hold several clusters side by side: slot 0 is everybody's, the lifecycle test uses another.
SLOT = int(os.environ.get("EDGERAMP_SLOT") or 0)
_NAME = f"er{SLOT or ''}"

BRIDGE = f"er{SLOT}"
_NETWORK = f"172.{29 + SLOT}.0"
HOST_IP = f"{_NETWORK}.1"
HOST_CIDR = f"{HOST_IP}/24"
API_SERVER = f"https://{HOST_IP}:6443"
_PODS = f"10.{244 + SLOT}"
POD_CIDR = f"{_PODS}.0.0/16"
SERVICE_CIDR = "10.96.0.0/16"
KUBERNETES_IP = "10.96.0.1"
DNS_IP = "10.96.0.10"
ETCD_CLIENT = f"http://127.0.0.1:{12379 + 10 * SLOT}"
ETCD_PEER = f"http://127.0.0.1:{12380 + 10 * SLOT}"
REGISTRY = f"{HOST_IP}:5000"
IMAGE_PREFIX = "edgeramp"
GATEWAY_NAMESPACE = "envoy-gateway-system"
STORAGE_NAMESPACE = "local-path-storage"
KIND_CLUSTER = "edgeramp"


def cache_dir() -> Path:
    """The folder for what is built or downloaded once; it outlives clusters and checkouts."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("EDGERAMP_CACHE") or home / "edgeramp")


def state_dir() -> Path:
    """The folder of the running cluster: keys, logs, process ids, node file systems."""
    if os.environ.get("EDGERAMP_STATE"):
        return Path(os.environ["EDGERAMP_STATE"])
    # Without root there is only kind, whose state is little more than a kubeconfig.
    root = Path("/var/lib") if os.geteuid() == 0 else Path.home() / ".local" / "state"
    return root / f"edgeramp{f'-{SLOT}' if SLOT else ''}"


def kubeconfig() -> Path:
    """The administrator's kubeconfig of the running cluster."""
    return state_dir() / "kubeconfig"


@dataclass(frozen=True)
class NodeSpec:
    """A worker: a set of namespaces on this machine that looks like a machine of its own.

    `withheld` names NFD CPU features that this node does not advertise although the CPU has them;
    `reserved` is the kubelet's systemReserved, which makes the node look smaller than the machine.
    """

    name: str
    index: int
    hardware_class: str
    withheld: frozenset[str] = frozenset()
    reserved: tuple[tuple[str, str], ...] = ()

    @property
    def ip(self) -> str:
        return f"{_NETWORK}.{10 + self.index}"

    @property
    def pod_cidr(self) -> str:
        return f"{_PODS}.{self.index}.0/24"

    @property
    def veth(self) -> str:
        return f"v{self.name}"

    @property
    def home(self) -> Path:
        return state_dir() / "nodes" / self.name


INT8_FEATURES = frozenset(
    {"AVX512VNNI", "AVXVNNI", "AVXVNNIINT8", "AMXINT8", "AMXBF16", "AMXFP16", "AMXTILE"}
)

OLDER_BOX = INT8_FEATURES | {"VAES"}
"""Of a machine without fast INT8 too there is something that an older box lacks."""

NODES = (
    NodeSpec(f"{_NAME}-n1", 1, "edge-server"),
    NodeSpec(f"{_NAME}-n2", 2, "edge-box", OLDER_BOX, (("memory", "4Gi"),)),
    NodeSpec(f"{_NAME}-n3", 3, "gateway", frozenset(), (("memory", "8Gi"),)),
)
