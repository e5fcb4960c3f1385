"""The HTTPRoute of a Rollout, the order in which its backends may change, and how weights are read back.

Backend 0 is the track `stable`, backend 1 `candidate`; a gateway keeps one upstream cluster per place. A place that
carries traffic is not emptied in one go: the winner takes the loser's place over first (only its endpoints change),
then the second place shrinks to 1, and goes last. In the same way it is made with 1 per cent of stable's own requests,
before a candidate needs it. So no request meets a cluster that is gone already, or not there yet (docs/adr).

Rule 0 is the split. Rule 1, while there is one, is for requests chosen by header: it is made and goes while it is
parked, which is to say that no request matches it. What has a header of rule 1 never reaches rule 0 (Gateway API: more
headers go first), so that both tracks of the split are drawn from the same requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgeramp.api.rollout import HeaderMatch, Route
from edgeramp.render.server import Manifest, RolloutRef
from edgeramp.values import names

API_VERSION = "gateway.networking.k8s.io/v1"
TRACKS = ("stable", "candidate")
TRACK_BY_HEADER = "candidate-by-header"
"""The track of requests that were chosen by header or came to a preview: the servers count them apart."""
SERVICE_PORT = 80
_PARKED = "x-edgeramp-parked"


@dataclass(frozen=True)
class Backend:
    """A Service and its weight, in per cent of the whole once normalized."""

    service: str
    weight: int


Split = tuple[Backend, ...]


@dataclass(frozen=True)
class Header:
    """One header of a request; `kind` is Exact or RegularExpression, the whole value is compared."""

    name: str
    value: str
    kind: str = "Exact"

    def __str__(self) -> str:
        return f"{self.name}{': ' if self.kind == 'Exact' else ' ~ '}{self.value}"


@dataclass(frozen=True)
class Chosen:
    """Requests with one of `headers` go to `service`. Without headers the place is parked: there, but unreachable."""

    service: str
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True)
class Mirror:
    """`percent` of the requests of the split are copied to `service`, whose answers nobody gets."""

    service: str
    percent: int


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


def header_of(match: HeaderMatch) -> Header:
    """A header as the Gateway API has it, which knows no prefixes."""
    value = match.header_value
    if value.exact is not None:
        return Header(match.header_name, value.exact)
    pattern = value.regex if value.regex is not None else re.escape(value.prefix or "") + ".*"
    return Header(match.header_name, pattern, "RegularExpression")


def next_chosen(have: Chosen | None, want: Chosen | None, quiet: bool) -> Chosen | None:
    """The next state of rule 1 on the way to `want`; what is parked changes only when the gateway is `quiet`."""
    if have is None:
        return Chosen(want.service) if want else None
    if have.headers:
        same = want is not None and want.service == have.service
        return want if same else Chosen(have.service)
    if not quiet:
        return have
    return want if want is None or want.service == have.service else Chosen(want.service)


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


def chosen_of(route: Mapping[str, Any]) -> Chosen | None:
    """The second rule of an HTTPRoute as served."""
    rules = route.get("spec", {}).get("rules") or []
    if len(rules) < 2:
        return None
    refs = rules[1].get("backendRefs") or [{}]
    headers = [h for match in rules[1].get("matches") or [] for h in match.get("headers") or []]
    found = (Header(str(h["name"]), str(h["value"]), str(h.get("type", "Exact"))) for h in headers)
    return Chosen(str(refs[0].get("name", "")), tuple(h for h in found if h.name != _PARKED))


def mirror_of(route: Mapping[str, Any]) -> Mirror | None:
    """The mirror of the first rule of an HTTPRoute as served. No share means all of them (Gateway API)."""
    rules = route.get("spec", {}).get("rules") or [{}]
    found = next((f["requestMirror"] for f in rules[0].get("filters") or [] if f.get("requestMirror")), None)
    if found is None:
        return None
    return Mirror(str(found["backendRef"].get("name", "")), int(found.get("percent", 100)))


def services_of(route: Mapping[str, Any]) -> frozenset[str]:
    """All Services that an HTTPRoute as served names anywhere."""
    chosen, mirror = chosen_of(route), mirror_of(route)
    beside = (b.service for b in (chosen, mirror) if b is not None)
    return frozenset((*(b.service for b in split_of(route)), *beside))


def http_route(
    owner: RolloutRef,
    route: Route,
    split: Split,
    chosen: Chosen | None = None,
    mirror: Mirror | None = None,
) -> Manifest:
    """The whole HTTPRoute; weights sum to 100 (ValueError otherwise)."""
    if sum(b.weight for b in split) != 100:
        raise ValueError(f"weights must sum to 100: {split}")
    rules = [_split_rule(route, split, mirror), *([_chosen_rule(owner, route, chosen)] if chosen else [])]
    return _whole(owner, owner.name, route, route.hostnames, rules)


def preview_name(rollout: str) -> str:
    """The name of the HTTPRoute by which a candidate is looked at before the switch."""
    return f"{rollout}-preview"


def preview_route(owner: RolloutRef, route: Route, hostnames: Sequence[str], service: str) -> Manifest:
    """Preview host names lead to `service` alone, by the same Gateway and path; counted apart from live traffic."""
    rule = {
        "matches": [{"path": _path(route)}],
        "backendRefs": [_backend(Backend(service, 1), TRACK_BY_HEADER)],
    }
    return _whole(owner, preview_name(owner.name), route, hostnames, [rule])


def _whole(
    owner: RolloutRef, name: str, route: Route, hostnames: Sequence[str], rules: Sequence[Manifest]
) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": "HTTPRoute",
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": {
                names.LABEL_MANAGED_BY: "edgeramp",
                names.LABEL_ROLLOUT: names.label_value(owner.name),
                **{k: v for k, v in owner.labels.items() if k in (names.LABEL_MODEL, names.LABEL_TARGET)},
            },
            "ownerReferences": [owner.owner()],
        },
        "spec": {"parentRefs": [_parent(route)], "hostnames": list(hostnames), "rules": list(rules)},
    }


def _split_rule(route: Route, split: Split, mirror: Mirror | None) -> Manifest:
    rule: Manifest = {
        "matches": [{"path": _path(route)}],
        "backendRefs": [_backend(b, TRACKS[place]) for place, b in enumerate(split)],
    }
    if mirror is not None:
        ref = {"group": "", "kind": "Service", "name": mirror.service, "port": SERVICE_PORT}
        copies = {"backendRef": ref, "percent": mirror.percent}
        rule["filters"] = [{"type": "RequestMirror", "requestMirror": copies}]
    return rule


def _chosen_rule(owner: RolloutRef, route: Route, chosen: Chosen) -> Manifest:
    """A parked rule asks for a header that nobody outside can know."""
    headers = chosen.headers or (Header(_PARKED, names.short_hash([owner.uid, _PARKED], 32)),)
    return {
        "matches": [
            {"path": _path(route), "headers": [{"type": h.kind, "name": h.name, "value": h.value}]}
            for h in headers
        ],
        "backendRefs": [_backend(Backend(chosen.service, 1), TRACK_BY_HEADER)],
    }


def _path(route: Route) -> Manifest:
    return {"type": "PathPrefix", "value": route.path}


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
