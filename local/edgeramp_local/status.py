"""What runs and what does not, as a table for people and an exit code for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from . import addons, controlplane, nodes, processes, registry
from .config import API_SERVER, DNS_IP, NODES, REGISTRY, kubeconfig
from .probe import PREFIX

_SHOWN = ("AVX2", "AVX512F", "AVX512VNNI", "AVXVNNI", "AMXINT8", "AMXBF16", "ASIMDDP", "SVE")


@dataclass(frozen=True)
class Line:
    """One row of the table; `ok` false makes the whole status fail."""

    name: str
    ok: bool
    detail: str


def components() -> list[Line]:
    """Every process of the cluster, as seen now."""
    known = processes.recorded()
    parts = [
        registry.NAME,
        *controlplane.COMPONENTS,
        *(nodes.component(n, p) for n in NODES for p in nodes.PARTS),
    ]
    return [
        Line(
            name,
            processes.alive(known.get(name)),
            f"pid {known[name].pid}" if name in known else "not started",
        )
        for name in parts
    ]


def running() -> bool:
    """Whether every process runs and the API answers; nodes and addons may still be settling."""
    return all_ok(components()) and controlplane.healthy("/readyz")


def lines() -> list[Line]:
    """Every component, node and addon, as seen now."""
    found = components()
    api = controlplane.healthy("/readyz")
    found.append(Line("API ready", api, API_SERVER))
    return [*found, *(node_line(node.name) for node in NODES if api), *(addon_lines() if api else [])]


def node_line(name: str) -> Line:
    """A node as the API server sees it."""
    try:
        item = controlplane.get(f"/api/v1/nodes/{name}")
    except OSError:
        return Line(f"node {name}", False, "not registered")
    return Line(f"node {name}", controlplane.condition(item, "Ready"), describe(item))


def describe(item: dict[str, Any]) -> str:
    """A node in one line: class, address, versions, the CPU features that matter for inference, what it offers."""
    labels, info = item["metadata"]["labels"], item["status"]["nodeInfo"]
    features = [name for name in _SHOWN if f"{PREFIX}cpu-cpuid.{name}" in labels]
    address = next(entry["address"] for entry in item["status"]["addresses"] if entry["type"] == "InternalIP")
    offered = item["status"]["allocatable"]
    memory = int(offered["memory"].removesuffix("Ki")) // 2**20
    return (
        f"{labels.get('edgeramp.dev/hardware-class', '?'):<11} {address}  {info['kubeletVersion']}  "
        f"{info['containerRuntimeVersion']}  {offered['cpu']} cpu {memory} Gi  {' '.join(features)}"
    )


def addon_lines() -> list[Line]:
    """Names, storage and gateway."""
    found = [
        Line(f"addon {name}", addons.available(namespace, name), namespace)
        for namespace, name in addons.DEPLOYMENTS
    ]
    return [
        *found,
        Line("gateway class eg", addons.gateway_accepted(), ", ".join(_proxies()) or "no Gateway yet"),
    ]


def _proxies() -> list[str]:
    """The Gateways and the addresses that they answer at inside the cluster."""
    try:
        items = controlplane.get("/apis/gateway.networking.k8s.io/v1/gateways")["items"]
    except OSError:
        return []
    return [
        f"{item['metadata']['namespace']}/{item['metadata']['name']} at "
        + ",".join(entry["value"] for entry in item.get("status", {}).get("addresses", []))
        for item in items
    ]


def table(rows: Sequence[Line]) -> str:
    """The rows with aligned columns."""
    width = max(len(row.name) for row in rows)
    return "\n".join(f"{'ok  ' if row.ok else 'DOWN'}  {row.name:<{width}}  {row.detail}" for row in rows)


def all_ok(rows: Iterable[Line]) -> bool:
    """Whether nothing is down."""
    return all(row.ok for row in rows)


def where() -> str:
    """How to reach the running cluster."""
    return (
        f"kubeconfig {kubeconfig()} · registry {REGISTRY} · cluster DNS {DNS_IP} · services and gateways answer in "
        f"pods and in a node's network: nsenter --net=/run/netns/{NODES[-1].name} curl …"
    )
