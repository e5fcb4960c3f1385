"""The Pareto frontier over retention, p50 and memory, and the weighted choice among those that may win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeramp.api.common import ObjectiveWeights


@dataclass(frozen=True)
class Point:
    """A measured candidate. `retention`: share of the reference's accuracy; `time`: its p50 over the reference's p50 in
    the same Job (so that points from different Jobs compare); `saved`: share of memory saved."""

    id: str
    retention: float
    time: float
    saved: float


@dataclass(frozen=True)
class Ranked:
    """`score` is at most 1; `why` says what made it, dimension by dimension."""

    id: str
    score: float
    why: str


def frontier(points: Sequence[Point]) -> frozenset[str]:
    """Those that no other one equals in everything and beats in something."""
    return frozenset(p.id for p in points if not any(_dominates(q, p) for q in points))


def dominated_by(point: Point, points: Sequence[Point]) -> str:
    """The fastest candidate that is at least as good in everything and better in something; empty for none."""
    return next((q.id for q in sorted(points, key=lambda q: (q.time, q.id)) if _dominates(q, point)), "")


def rank(points: Sequence[Point], weights: ObjectiveWeights, retention_gate: float) -> tuple[Ranked, ...]:
    """Best first; ties go to the faster, then by name. Each dimension is a share that does not depend on the others who
    take part: of time saved, of memory saved, and of the allowed loss of accuracy that was not used."""
    latency, memory, accuracy = _shares(weights)
    entries = []
    for p in points:
        kept = _accuracy_kept(p.retention, retention_gate)
        score = latency * (1.0 - p.time) + memory * p.saved + accuracy * kept
        why = (
            f"time saved {1.0 - p.time:.2f} x {latency:.2f} + memory saved {p.saved:.2f} x {memory:.2f}"
            f" + accuracy kept {kept:.2f} x {accuracy:.2f} = {score:.3f}"
        )
        entries.append((-score, p.time, p.id, Ranked(p.id, score, why)))
    return tuple(entry[-1] for entry in sorted(entries, key=lambda e: e[:3]))


def _accuracy_kept(retention: float, gate: float) -> float:
    if gate >= 1.0:
        return min(1.0, max(0.0, retention))
    return min(1.0, max(0.0, (retention - gate) / (1.0 - gate)))


def _shares(weights: ObjectiveWeights) -> tuple[float, float, float]:
    total = weights.latency + weights.memory + weights.accuracy
    if total == 0:
        return (1 / 3, 1 / 3, 1 / 3)
    return weights.latency / total, weights.memory / total, weights.accuracy / total


def _dominates(q: Point, p: Point) -> bool:
    no_worse = q.retention >= p.retention and q.time <= p.time and q.saved >= p.saved
    return no_worse and (q.retention > p.retention or q.time < p.time or q.saved > p.saved)
