"""Other people's rules on the same counts: what a threshold, Argo Rollouts, Flagger and a Kayenta-style judge would do.

Each rule is a function from the counts of a ramp to the second at which it rolls back, or None. They read error rates;
what they say of latency is said beside them. Sources, read on 2026-11-25: argo-rollouts docs/features/analysis.md (the
success-rate template) and analysis/analysis.go; flagger docs/gitbook/usage/how-it-works.md and
pkg/controller/scheduler.go (failed checks add up and are never taken back; the rollback is one interval later);
kayenta MannWhitneyClassifier.scala (tolerance 0.25 of the Hodges-Lehmann estimate) with the 98 % confidence of its judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from edgeramp.decide.evidence import Block, TrackCounts


class Track:
    """One track's counts, added up, so that the error rate over any span is two look-ups."""

    def __init__(self, ends: np.ndarray, counts: Sequence[TrackCounts]) -> None:
        self._ends = ends
        self._requests = np.concatenate([[0], np.cumsum([c.requests for c in counts])])
        self._bad = np.concatenate([[0], np.cumsum([c.bad for c in counts])])

    def rate(self, start_s: float, end_s: float) -> float | None:
        """Bad over all requests of the blocks that end in (start, end]; None without requests."""
        first, last = np.searchsorted(self._ends, [start_s + 1e-9, end_s + 1e-9])
        requests = int(self._requests[last] - self._requests[first])
        return float(self._bad[last] - self._bad[first]) / requests if requests else None


@dataclass(frozen=True)
class Counts:
    """A ramp as other people's rules see it."""

    first_s: float
    end_s: float
    stable: Track
    candidate: Track

    @classmethod
    def of(cls, blocks: Sequence[Block]) -> Counts:
        ends = np.array([b.end_s for b in blocks])
        stable, candidate = (Track(ends, [getattr(b, t) for b in blocks]) for t in ("stable", "candidate"))
        return cls(float(ends[0]), float(ends[-1]), stable, candidate)

    def looks(self, every_s: float) -> list[float]:
        return [float(at) for at in np.arange(every_s, self.end_s + 1e-9, every_s)]


Rule = Callable[[Counts], float | None]


def threshold(window_s: float, interval_s: float, most: float, failure_limit: int) -> Rule:
    """Look every `interval_s` at the candidate's error rate over the last `window_s`; more than `failure_limit` looks
    above `most` roll back (Argo's meaning of failureLimit). Looks without requests say nothing."""

    def rule(counts: Counts) -> float | None:
        failures = 0
        for at in counts.looks(interval_s):
            rate = counts.candidate.rate(at - window_s, at)
            failures += rate is not None and rate > most
            if failures > failure_limit:
                return at
        return None

    return rule


def argo_documented(counts: Counts) -> float | None:
    """interval 5m, successCondition >= 0.95, failureLimit 3; `irate` reads the last two scrapes, 15 s. The first look
    is at once, so the fourth failure comes after 15 minutes at the soonest."""
    first = counts.first_s
    failures = 0
    for at in (first, *counts.looks(300.0)):
        rate = counts.candidate.rate(at - 15.0, at)
        failures += rate is not None and rate > 0.05
        if failures > 3:
            return at
    return None


def flagger(interval_s: float, most: float, checks: int) -> Rule:
    """request-success-rate over one interval; at `checks` failed checks in all the next one rolls back."""

    def rule(counts: Counts) -> float | None:
        failed = 0
        for at in counts.looks(interval_s):
            if failed >= checks:
                return at
            rate = counts.candidate.rate(at - interval_s, at)
            failed += rate is not None and rate > most
        return None

    return rule


def kayenta(
    every_s: float, points_s: float = 60.0, tolerance: float = 0.25, confidence: float = 0.98
) -> Rule:
    """Every `every_s` a Mann-Whitney interval on the per-minute error rates since the start, direction increase: High,
    and with one metric that is a failed canary, when its lower end exceeds a quarter of the Hodges-Lehmann estimate."""

    def rule(counts: Counts) -> float | None:
        edges = counts.looks(points_s)
        rates = [(counts.candidate.rate(e - points_s, e), counts.stable.rate(e - points_s, e)) for e in edges]
        known = [(c, s) for c, s in rates if c is not None and s is not None]
        per_look = round(every_s / points_s)
        for looks in range(per_look, len(known) + 1, per_look):
            candidate, stable = (np.array(x) for x in zip(*known[:looks], strict=True))
            if _high(candidate, stable, tolerance, confidence):
                return edges[looks - 1]
        return None

    return rule


def _high(candidate: np.ndarray, stable: np.ndarray, tolerance: float, confidence: float) -> bool:
    """Lower end of the Mann-Whitney interval on the shift (normal approximation, as R's wilcox.test)."""
    differences = np.sort((candidate[:, None] - stable[None, :]).ravel())
    m, n = len(candidate), len(stable)
    z = norm.ppf(0.5 + confidence / 2)
    rank = int(np.floor(m * n / 2 - z * np.sqrt(m * n * (m + n + 1) / 12)))
    if rank < 0:
        return False
    return bool(differences[rank] > tolerance * abs(float(np.median(differences))))


PEERS: dict[str, Rule] = {
    "threshold 1 %, 60 s window, every 60 s, failureLimit 3": threshold(60.0, 60.0, 0.01, 3),
    "threshold 1 %, 60 s window, every 60 s, failureLimit 0": threshold(60.0, 60.0, 0.01, 0),
    "Argo Rollouts, documented example": argo_documented,
    "Argo Rollouts, fast: 1 %, 30 s window, every 10 s, failureLimit 2": threshold(30.0, 10.0, 0.01, 2),
    "Flagger, documented example": flagger(60.0, 0.01, 10),
    "Flagger, fast: every 10 s, threshold 2": flagger(10.0, 0.01, 2),
    "Kayenta-style, every 30 min": kayenta(1800.0),
    "Kayenta-style, every 5 min": kayenta(300.0),
}
"""Name of the rule in tables, and the rule."""
