"""From raw counters to increments: resets, new series and series that vanish."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from edgeramp.decide.evidence import histogram
from edgeramp.decide.evidence.blocks import (
    Block,
    Buckets,
    LatencySeries,
    RequestSeries,
    Scrape,
    Track,
    TrackCounts,
)
from edgeramp.decide.evidence.config import EvidenceConfig
from edgeramp.decide.evidence.state import Counters, LastLatency, LastRequests

FORGET_S = 900.0
"""A series that has not answered for this long is forgotten; should it return, it starts with a new baseline."""


_Last = TypeVar("_Last", LastRequests, LastLatency)


@dataclass(frozen=True, slots=True)
class _Clock:
    """When the last scrape was, and from when values are of the present weight. None: there was no scrape."""

    before_s: float | None
    fresh_s: float

    def new(self, born_s: float | None) -> bool:
        """Whether a series seen for the first time has counted nothing but this block."""
        return self.before_s is not None and born_s is not None and born_s >= max(self.before_s, self.fresh_s)


def increments(
    config: EvidenceConfig, before: Counters | None, scrape: Scrape, weight: int
) -> tuple[Counters, Block | None]:
    """New last counters, and the block between the two scrapes (None for the very first scrape).

    Per series: a value that fell was reset, so the new value is the increment. A series seen for the first time
    is only a baseline, unless its process was born after the last scrape. One that does not answer counts
    nothing now and everything when it answers again, as long as the weight is the same.
    """
    fresh = before.fresh_s if before else scrape.at_s
    clock = _Clock(before.at_s if before else None, fresh)
    requests = {(str(s.track), s.source): _last_requests(s, scrape.at_s) for s in scrape.requests}
    latency = {(str(s.track), s.source): _last_latency(config, s, scrape.at_s) for s in scrape.latency}
    counters = Counters(
        at_s=scrape.at_s,
        requests=_kept(before.requests if before else (), requests, scrape.at_s),
        latency=_kept(before.latency if before else (), latency, scrape.at_s),
        fresh_s=fresh,
    )
    if before is None:
        return counters, None
    old_requests = {(s.track, s.source): s for s in before.requests if s.at_s >= fresh}
    old_latency = {(s.track, s.source): s for s in before.latency if s.at_s >= fresh}
    counts = {}
    for track in Track:
        total, bad = _requests(
            (requests[s.track, s.source], old_requests.get((s.track, s.source)), clock.new(s.born_s))
            for s in scrape.requests
            if s.track == track
        )
        buckets = _latency(
            (latency[s.track, s.source], old_latency.get((s.track, s.source)), clock.new(s.born_s))
            for s in scrape.latency
            if s.track == track
        )
        counts[track] = TrackCounts(total, bad, buckets)
    return counters, Block(
        start_s=before.at_s,
        end_s=scrape.at_s,
        weight=weight,
        stable=counts[Track.STABLE],
        candidate=counts[Track.CANDIDATE],
        requests_seen={s.track for s in scrape.requests} == set(Track),
        latency_seen={s.track for s in scrape.latency} == set(Track),
    )


def _last_requests(series: RequestSeries, at_s: float) -> LastRequests:
    return LastRequests(str(series.track), series.source, series.total, series.bad, at_s)


def _last_latency(config: EvidenceConfig, series: LatencySeries, at_s: float) -> LastLatency:
    buckets = histogram.bucket_counts(config.latency_edges, series.cumulative)
    return LastLatency(str(series.track), series.source, buckets, at_s)


def _kept(old: Iterable[_Last], new: dict[tuple[str, str], _Last], at_s: float) -> tuple[_Last, ...]:
    """The new values, and the old ones of series that did not answer and are not forgotten yet."""
    kept: dict[tuple[str, str], _Last] = {
        (last.track, last.source): last for last in old if at_s - last.at_s <= FORGET_S
    }
    kept.update(new)
    return tuple(kept[key] for key in sorted(kept))


def _requests(series: Iterable[tuple[LastRequests, LastRequests | None, bool]]) -> tuple[int, int]:
    total = bad = 0
    for now, old, new in series:
        if old is None:
            gained = (now.total, now.bad) if new else (0, 0)
        elif now.total < old.total or now.bad < old.bad:
            gained = now.total, now.bad
        else:
            gained = now.total - old.total, now.bad - old.bad
        total, bad = total + gained[0], bad + gained[1]
    return total, bad


def _latency(series: Iterable[tuple[LastLatency, LastLatency | None, bool]]) -> Buckets:
    total: Buckets = ()
    for now, old, new in series:
        if old is None:
            total = histogram.add(total, now.buckets if new else ())
        elif sum(now.buckets) < sum(old.buckets):
            total = histogram.add(total, now.buckets)
        else:
            gained = (max(0, a - b) for a, b in zip(now.buckets, old.buckets, strict=True))
            total = histogram.add(total, tuple(gained))
    return total
