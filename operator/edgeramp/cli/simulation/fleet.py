"""Pods that follow their Deployments, become ready and crash at their time, and the requests they answer."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgeramp.decide.evidence.config import DEFAULT_EDGES
from edgeramp.decide.seen import Admission, Object
from edgeramp.render.route import Chosen, Mirror, Split
from edgeramp.values import names

Json = dict[str, Any]
CERTIFIED = Admission(True, "Certified", "Signed and certified for this hardware.")
RESTART_SECONDS = 20.0
SPREAD = 0.3
"""Standard deviation of the logarithm of a request's time."""
_EDGES = [*map(str, DEFAULT_EDGES), "+Inf"]


@dataclass(frozen=True)
class Behaviour:
    """How the servers of one artifact behave. Times in seconds; `latency` is the median, `errors` the share of requests
    that fail, `crash_after` counts from being ready; None: never."""

    ready_after: float | None = 3.0
    errors: float = 0.001
    latency: float = 0.010
    crash_after: float | None = None
    admission: Admission = CERTIFIED


@dataclass
class Pod:
    """One replica. `requests`, `errors` and `buckets` are its own cumulative counters."""

    name: str
    revision: str
    started: float
    ready_at: float | None
    crash_at: float | None
    restarts: int = 0
    requests: int = 0
    errors: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * len(_EDGES))


@dataclass
class Track:
    """Cumulative counters of one backend place at the gateway."""

    total: int = 0
    failed: int = 0


class Fleet:
    """All pods of a Rollout and the proxy before them. `behaviour` tells how a revision's servers behave."""

    def __init__(self, seed: int, behaviour: Callable[[str], Behaviour]) -> None:
        self.random = random.Random(seed)
        self.pods: list[Pod] = []
        self.gate = {"stable": Track(), "candidate": Track()}
        self.failed_by: dict[str, int] = {}
        self.chosen: dict[str, int] = {}
        self.copied: dict[str, int] = {}
        self._behaviour = behaviour
        self._made = 0

    def follow(self, replicas: Mapping[str, int], now: float) -> bool:
        """Pods as the Deployments want them (revision -> replicas); true when some were made or went."""
        before = [p.name for p in self.pods]
        for revision, count in replicas.items():
            mine = [p for p in self.pods if p.revision == revision]
            self.pods = [p for p in self.pods if p not in mine[count:]]
            self.pods += [self._new(revision, now) for _ in range(count - len(mine))]
        self.pods = [p for p in self.pods if p.revision in replicas]
        for pod in self.pods:
            if pod.crash_at is not None and pod.crash_at <= now:
                pod.restarts, pod.crash_at, pod.ready_at = pod.restarts + 1, None, now + RESTART_SECONDS
                pod.requests, pod.errors, pod.buckets = 0, 0, [0] * len(_EDGES)
        return [p.name for p in self.pods] != before

    def answering(self, revision: str, now: float) -> list[Pod]:
        """The pods of a revision that are ready."""
        return [
            p for p in self.pods if p.revision == revision and p.ready_at is not None and p.ready_at <= now
        ]

    def moments(self, now: float) -> list[float]:
        """When something will happen to a pod."""
        return [t for p in self.pods for t in (p.ready_at, p.crash_at) if t is not None and t > now]

    def beside(
        self,
        requests: float,
        share: float,
        chosen: Chosen | None,
        mirror: Mirror | None,
        revisions: Mapping[str, str],
        now: float,
    ) -> float:
        """Of about so many requests, `share` with the header that a rule may ask for: those chosen are answered and
        counted apart, some of the others are copied. Returns how many are left to be split."""
        taken = requests * share if chosen is not None and chosen.headers else 0.0
        if chosen is not None and chosen.headers:
            revision = revisions[chosen.service]
            ready, behaviour = self.answering(revision, now), self._behaviour(revision)
            for _ in range(round(taken)):
                self.chosen[revision] = self.chosen.get(revision, 0) + 1
                bad = not ready or self.random.random() < behaviour.errors
                self.failed_by[revision] = self.failed_by.get(revision, 0) + bad
        if mirror is not None:
            revision = revisions[mirror.service]
            copies = round((requests - taken) * mirror.percent / 100)
            self.copied[revision] = self.copied.get(revision, 0) + copies
        return requests - taken

    def serve(self, requests: float, split: Split, revisions: Mapping[str, str], now: float) -> None:
        """About so many requests, split by weight; `revisions` maps Services to revisions."""
        if not split or requests <= 0:
            return
        places, weights = range(len(split)), [max(b.weight, 0) for b in split]
        ready = {r: self.answering(r, now) for r in revisions.values()}
        for _ in range(max(0, round(self.random.gauss(requests, math.sqrt(requests))))):
            if not any(weights):
                return
            place = self.random.choices(places, weights)[0]
            revision = revisions[split[place].service]
            bad = self._answer(ready[revision], self._behaviour(revision))
            track = self.gate[("stable", "candidate")[place]]
            track.total += 1
            track.failed += bad
            self.failed_by[revision] = self.failed_by.get(revision, 0) + bad

    def _answer(self, pods: list[Pod], behaviour: Behaviour) -> bool:
        bad = not pods or self.random.random() < behaviour.errors
        if pods:
            pod = pods[0] if len(pods) == 1 else self.random.choice(pods)
            pod.requests += 1
            pod.errors += bad
            pod.buckets[
                bisect_left(DEFAULT_EDGES, behaviour.latency * math.exp(self.random.gauss(0, SPREAD)))
            ] += 1
        return bad

    def _new(self, revision: str, now: float) -> Pod:
        behaviour = self._behaviour(revision)
        ready = now + behaviour.ready_after if behaviour.ready_after is not None else None
        crash = (
            ready + behaviour.crash_after if ready is not None and behaviour.crash_after is not None else None
        )
        self._made += 1
        return Pod(f"p{self._made}", revision, now, ready, crash)

    def served_objects(self, now: float) -> tuple[Object, ...]:
        """The pods as the API server shows them."""
        return tuple(_object(p, p in self.answering(p.revision, now)) for p in self.pods)

    def metrics(self, revision: str, now: float) -> dict[str, Json]:
        """What the pods of a revision answer at /metrics."""
        return {p.name: _metrics(p) for p in self.answering(revision, now)}


def _object(pod: Pod, ready: bool) -> Json:
    return {
        "metadata": {"name": pod.name, "labels": {names.LABEL_REVISION: pod.revision}},
        "status": {
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": "True" if ready else "False"},
            ],
            "containerStatuses": [{"name": "server", "restartCount": pod.restarts, "state": {}}],
        },
    }


def _metrics(pod: Pod) -> Json:
    cumulative: dict[str, int] = {}
    running = 0
    for edge, count in zip(_EDGES, pod.buckets, strict=True):
        running += count
        cumulative[edge] = running
    return {"requests": pod.requests, "errors": pod.errors, "started": pod.started, "buckets": cumulative}
