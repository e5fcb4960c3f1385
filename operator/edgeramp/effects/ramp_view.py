"""Whether a look at the counters is due, and whom to ask: from objects as served. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgeramp.decide.seen import Object
from edgeramp.effects.scrape import Endpoint, Order, clusters_of
from edgeramp.values.names import LABEL_REVISION
from edgeramp.values.quantities import epoch, seconds

EARLY = 0.9
"""A look may come at this share of the interval: a timer that fires a little early does not wait for the next one."""
_INTERVAL = "5s"


@dataclass(frozen=True)
class Ramp:
    """`due`: look at the counters now. `first`: there is no evidence yet. `source_open`: it has not been settled yet
    whether errors are counted at the gateway or in the pods. `unplanned`: nothing moves yet and nobody has said what would
    be found when, for which stable's history is read."""

    due: bool = False
    first: bool = False
    source_open: bool = False
    unplanned: bool = False


def ramp_in(rollout: Object, route: Object | None, now: float) -> Ramp:
    """A ramp is looked at while both tracks have traffic: every scrapeInterval, and at once when the weight in force is
    not the one reported last, so that the block around a change can be dropped."""
    status = rollout.get("status") or {}
    facts = status.get("ramp") or {}
    analysis = (rollout["spec"].get("strategy") or {}).get("analysis") or {}
    weight = candidate_weight(route)
    judged = facts and status.get("candidate") and status.get("stable") and facts.get("abortedAt") is None
    if not judged or not analysis.get("enabled", True):
        return Ramp()
    if weight is None:
        stepwise = not facts.get("skipSteps") and not facts.get("promotedFull")
        return Ramp(unplanned=stepwise and not status.get("plan"))
    last = facts.get("lastScrapeAt")
    interval = seconds(analysis.get("scrapeInterval", _INTERVAL))
    due = last is None or now - last >= EARLY * interval or weight != status.get("weight")
    return Ramp(due, not facts.get("evidence"), facts.get("requestSource") is None)


def candidate_weight(route: Object | None) -> int | None:
    """Per cent of the candidate track in the observed route; None unless both tracks have traffic."""
    if route is None or not clusters_of(route):
        return None
    backends = route["spec"]["rules"][0]["backendRefs"]
    weights = [int(b.get("weight", 1)) for b in backends]
    tracks = list(clusters_of(route).values())
    if min(weights) <= 0 or backends[0]["name"] == backends[1]["name"]:
        return None
    return round(100 * weights[tracks.index("candidate")] / sum(weights))


def scrape_order(
    rollout: Object, route: Object, pods: Iterable[Object], proxies: Iterable[Object], port: int
) -> Order:
    """Whom to ask for what."""
    pods = tuple(pods)
    servers = {
        track: endpoints(p for p in pods if _revision(p) == revision)
        for track, revision in _revisions(rollout).items()
    }
    return Order(endpoints(proxies), port, clusters_of(route), {t: e for t, e in servers.items() if e})


def history_endpoints(rollout: Object, pods: Iterable[Object]) -> Sequence[Endpoint]:
    """Stable's pods."""
    stable = _revisions(rollout).get("stable")
    return endpoints(p for p in pods if _revision(p) == stable)


def endpoints(pods: Iterable[Object]) -> tuple[Endpoint, ...]:
    """The pods that are ready, by name."""
    ready = (p for p in pods if _ready(p) and (p.get("status") or {}).get("podIP"))
    return tuple(Endpoint(p["metadata"]["name"], p["status"]["podIP"], _started(p)) for p in ready)


def _ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    gone = pod["metadata"].get("deletionTimestamp")
    return not gone and any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _started(pod: Object) -> float:
    """When the youngest of its containers began: counters are not older than that. 0 when unknown."""
    states = [
        (s.get("state") or {}).get("running") or {} for s in pod["status"].get("containerStatuses") or []
    ]
    return max((epoch(s["startedAt"]) for s in states if s.get("startedAt")), default=0.0)


def _revision(pod: Mapping[str, Any]) -> str:
    return str((pod["metadata"].get("labels") or {}).get(LABEL_REVISION, ""))


def _revisions(rollout: Object) -> dict[str, str]:
    """Track -> revision, as decided last."""
    status = rollout.get("status") or {}
    known = {track: (status.get(track) or {}).get("revision") for track in ("stable", "candidate")}
    return {track: revision for track, revision in known.items() if revision}
