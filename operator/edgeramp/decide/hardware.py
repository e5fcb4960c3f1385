"""Which nodes a target means, what their CPUs promise, and which machine they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgeramp.decide.seen import Object
from edgeramp.values.names import LABEL_MEASUREMENT_HOST, bounded_name

CPU_FEATURE = "feature.node.kubernetes.io/cpu-cpuid."
LEASE_PREFIX = "edgeramp-measure"


@dataclass(frozen=True)
class Node:
    """A node that takes pods. `host` is the machine it runs on; `shared` when other nodes may run there too.
    `features` are the CPU features that its labels promise (AVX512VNNI, …)."""

    name: str
    hostname: str
    host: str
    shared: bool
    features: frozenset[str]
    labels: Mapping[str, str]

    @property
    def lease(self) -> str:
        """The name of the Lease that whoever runs Jobs on this machine holds."""
        return lease_name(self.host)


def lease_name(host: str) -> str:
    """The measurement Lease of a machine."""
    return bounded_name(LEASE_PREFIX, host, limit=63)


def matching_nodes(nodes: Iterable[Object], selector: Mapping[str, str]) -> tuple[Node, ...]:
    """Nodes that carry all labels of `selector` and take pods, by name."""
    found = [_node(n) for n in nodes if takes_pods(n) and _matches(_labels(n), selector)]
    return tuple(sorted(found, key=lambda n: n.name))


def takes_pods(node: Object) -> bool:
    """Ready, not cordoned, no taint that our pods do not tolerate."""
    spec = node.get("spec") or {}
    if spec.get("unschedulable"):
        return False
    if any(t.get("effect") in ("NoSchedule", "NoExecute") for t in spec.get("taints") or ()):
        return False
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def common_features(nodes: Iterable[Node]) -> frozenset[str]:
    """What every one of `nodes` promises: an artifact must run on each of them."""
    sets = [n.features for n in nodes]
    return frozenset.intersection(*sets) if sets else frozenset()


def selected_features(selector: Mapping[str, str]) -> tuple[str, ...]:
    """CPU features that a node selector demands; a Job probes them again and exits 13 on a lie."""
    wanted = (
        k.removeprefix(CPU_FEATURE) for k, v in selector.items() if k.startswith(CPU_FEATURE) and v == "true"
    )
    return tuple(sorted(wanted))


def why_none(nodes: Iterable[Object], selector: Mapping[str, str]) -> str:
    """One sentence for NoMatchingNode: no such label at all, or nodes that take no pods."""
    wanted = ", ".join(f"{k}={v}" for k, v in sorted(selector.items())) or "no label"
    away = sorted(_name(n) for n in nodes if _matches(_labels(n), selector))
    if away:
        return f"the nodes with {wanted} take no pods now: {', '.join(away)}"
    return f"no node has the labels {wanted}"


def _labels(node: Object) -> Mapping[str, str]:
    labels: Mapping[str, str] = (node.get("metadata") or {}).get("labels") or {}
    return labels


def _name(node: Object) -> str:
    return str(node["metadata"]["name"])


def _matches(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    return all(labels.get(k) == v for k, v in selector.items())


def labels_match(node: Object, selector: Mapping[str, str]) -> bool:
    """Whether the node is of the class, Ready or not."""
    return _matches(_labels(node), selector)


def features_of(node: Object) -> frozenset[str]:
    """CPU features that the node's labels promise; empty where nobody labels nodes."""
    labels = _labels(node)
    return frozenset(
        k.removeprefix(CPU_FEATURE) for k, v in labels.items() if k.startswith(CPU_FEATURE) and v != "false"
    )


def _node(node: Object) -> Node:
    labels, name = _labels(node), _name(node)
    features = features_of(node)
    host = labels.get(LABEL_MEASUREMENT_HOST, "")
    return Node(name, labels.get("kubernetes.io/hostname", name), host or name, bool(host), features, labels)


# What a Job can probe (images/harness, probe.py): only these are asked for, so that an unknown name is no lie.
PROBED = frozenset(
    (
        "SSE42",
        "AVX",
        "AVX2",
        "FMA3",
        "F16C",
        "AVX512F",
        "AVX512BW",
        "AVX512VNNI",
        "AVX512BF16",
        "AVX512FP16",
        "AVXVNNI",
        "AVXVNNIINT8",
        "AMXTILE",
        "AMXINT8",
        "AMXBF16",
        "ASIMD",
        "ASIMDDP",
        "I8MM",
        "BF16",
        "SVE",
    )
)
