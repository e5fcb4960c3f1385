"""The HTTPRoute of a Rollout, the order in which its backends may change, and how weights are read back.

Backend 0 is the track `stable`, backend 1 `candidate`; a gateway keeps one upstream cluster per place. A place that
carries traffic is not emptied in one go: the winner takes the loser's place over first (only its endpoints change),
then the second place shrinks to 1, and goes last. In the same way it is made with 1 per cent of stable's own requests,
before a candidate needs it. So no request meets a cluster that is gone already, or not there yet (docs/adr).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgeramp.api.rollout import Route
from edgeramp.render.server import Manifest, RolloutRef
from edgeramp.values import names

API_VERSION = "gateway.networking.k8s.io/v1"
TRACKS = ("stable", "candidate")
SERVICE_PORT = 80


@dataclass(frozen=True)
class Backend:
    """A Service and its weight, in per cent of the whole once normalized."""

    service: str
    weight: int


Split = tuple[Backend, ...]


def split_between(stable: str, candidate: str, weight: int) -> Split:
    """Both tracks with traffic; `weight` of the candidate must lie between 1 and 99."""
    if not 0 < weight < 100:
        raise ValueError(f"a split needs a weight from 1 to 99, not {weight}")
    return (Backend(stable, 100 - weight), Backend(candidate, weight))


def prepared(have: Split, stable: str) -> Split:
    """Both places filled with `stable`, before a candidate gets its first share: the gateway has its second cluster
    then, and the share only changes where that one points to."""
    if len(have) == 2 and all(b.weight > 0 for b in have) and sum(b.weight for b in have) == 100:
        return tuple(Backend(stable, b.weight) for b in have)
    return (Backend(stable, 99), Backend(stable, 1))


def taken_over(have: Split, winner: str) -> Split:
    """The next split on the way to `winner` alone; equal to `have` when it is there."""
    if len(have) != 2 or any(b.weight == 0 for b in have) or sum(b.weight for b in have) != 100:
        return (Backend(winner, 100),)
    if any(b.service != winner for b in have):
        return tuple(Backend(winner, b.weight) for b in have)
    if have[1].weight > 1:
        return (Backend(winner, 99), Backend(winner, 1))
    return (Backend(winner, 100),)


def weight_of(split: Sequence[Backend], service: str) -> int:
    """Per cent of the requests that `service` gets, over all places that name it. 0 when nothing has a weight."""
    total = sum(b.weight for b in split)
    if total <= 0:
        return 0
    share = sum(b.weight for b in split if b.service == service)
    return round(100 * share / total)


def split_of(route: Mapping[str, Any]) -> Split:
    """The backends of the first rule of an HTTPRoute as served. A missing weight means 1 (Gateway API)."""
    rules = route.get("spec", {}).get("rules") or [{}]
    refs = rules[0].get("backendRefs") or []
    return tuple(Backend(str(ref.get("name", "")), int(ref.get("weight", 1))) for ref in refs)


def http_route(owner: RolloutRef, route: Route, split: Split) -> Manifest:
    """The whole HTTPRoute; weights sum to 100 (ValueError otherwise)."""
    if sum(b.weight for b in split) != 100:
        raise ValueError(f"weights must sum to 100: {split}")
    return {
        "apiVersion": API_VERSION,
        "kind": "HTTPRoute",
        "metadata": {
            "name": owner.name,
            "namespace": owner.namespace,
            "labels": {
                names.LABEL_MANAGED_BY: "edgeramp",
                names.LABEL_ROLLOUT: names.label_value(owner.name),
                **{k: v for k, v in owner.labels.items() if k in (names.LABEL_MODEL, names.LABEL_TARGET)},
            },
            "ownerReferences": [owner.owner()],
        },
        "spec": {
            "parentRefs": [_parent(route)],
            "hostnames": list(route.hostnames),
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": route.path}}],
                    "backendRefs": [_backend(b, TRACKS[place]) for place, b in enumerate(split)],
                }
            ],
        },
    }


def _parent(route: Route) -> Manifest:
    ref = route.gateway_ref
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": ref.name}
    if ref.namespace:
        parent["namespace"] = ref.namespace
    if ref.section_name:
        parent["sectionName"] = ref.section_name
    return parent


def _backend(backend: Backend, track: str) -> Manifest:
    return {
        "group": "",
        "kind": "Service",
        "name": backend.service,
        "port": SERVICE_PORT,
        "weight": backend.weight,
        "filters": [
            {
                "type": "RequestHeaderModifier",
                "requestHeaderModifier": {"set": [{"name": names.TRACK_HEADER, "value": track}]},
            }
        ],
    }
