"""The cluster's network: a bridge on the host, one network namespace per node, routes between the pod ranges.

It is closed on purpose: the host forwards nothing, and a node's default route is unreachable, so no packet of a pod
leaves the machine.
"""

from __future__ import annotations

import json
from pathlib import Path

from .config import BRIDGE, HOST_CIDR, HOST_IP, NODES, SERVICE_CIDR, NodeSpec
from .shell import run

NETNS = Path("/run/netns")


def up_bridge() -> None:
    """Make the bridge that carries the host's address; again is harmless."""
    if not Path(f"/sys/class/net/{BRIDGE}").exists():
        run(["ip", "link", "add", BRIDGE, "type", "bridge"])
        run(["ip", "addr", "add", HOST_CIDR, "dev", BRIDGE])
    run(["ip", "link", "set", BRIDGE, "up"])


def up_node(node: NodeSpec) -> None:
    """Make a node's namespace, its link to the bridge and all its routes."""
    run(["ip", "netns", "add", node.name])
    run(["ip", "link", "add", node.veth, "type", "veth", "peer", "name", "eth0", "netns", node.name])
    run(["ip", "link", "set", node.veth, "master", BRIDGE, "up"])
    inside = [
        f"addr add {node.ip}/24 dev eth0",
        "link set eth0 up",
        "link set lo up",
        f"route add {SERVICE_CIDR} via {HOST_IP}",
        "route add unreachable default",
    ]
    inside += [f"route add {other.pod_cidr} via {other.ip}" for other in NODES if other != node]
    run(["ip", "-n", node.name, "-batch", "-"], stdin="\n".join(inside) + "\n")
    run(["ip", "route", "replace", node.pod_cidr, "via", node.ip])
    run(in_netns(node, "sysctl", "-qw", "net.ipv4.ip_forward=1"))


def in_netns(node: NodeSpec, *argv: str) -> list[str]:
    """A command that runs in the node's network namespace (not `ip netns exec`: that hides the cgroup mounts)."""
    return ["nsenter", f"--net={NETNS / node.name}", *argv]


def cni_config(node: NodeSpec) -> str:
    """The node's CNI configuration: a bridge per node with addresses from its pod range."""
    ipam = {"type": "host-local", "ranges": [[{"subnet": node.pod_cidr}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": ipam,
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps(
        {"cniVersion": "1.0.0", "name": "edgeramp-pods", "plugins": [bridge, portmap]}, indent=1
    )


def down() -> None:
    """Remove namespaces, links and routes; again is harmless."""
    for node in NODES:
        run(["ip", "route", "del", node.pod_cidr, "via", node.ip], check=False)
        run(["ip", "link", "del", node.veth], check=False)
        run(["ip", "netns", "del", node.name], check=False)
    run(["ip", "link", "del", BRIDGE], check=False)


def leftovers() -> list[str]:
    """Links, namespaces and routes of ours that exist."""
    found = [
        f"link {name}"
        for name in (BRIDGE, *(node.veth for node in NODES))
        if Path(f"/sys/class/net/{name}").exists()
    ]
    found += [f"network namespace {node.name}" for node in NODES if (NETNS / node.name).exists()]
    routes = run(["ip", "route"], check=False).stdout.splitlines()
    prefixes = (*(node.pod_cidr for node in NODES), HOST_CIDR.replace(".1/24", ".0/24"))
    return found + [f"route {line.strip()}" for line in routes if line.startswith(prefixes)]
