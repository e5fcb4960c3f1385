"""What is counted: raw counters of one scrape, and the increments of both tracks between two scrapes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

Buckets = tuple[int, ...]
"""Requests per latency bucket, not cumulative; one more entry than there are edges. () means none."""


class Track(StrEnum):
    STABLE = "stable"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True)
class TrackCounts:
    """One track's increments in one block. `requests` and `bad` come from the gateway, `latency` from the pods."""

    requests: int = 0
    bad: int = 0
    latency: Buckets = ()


@dataclass(frozen=True, slots=True)
class Block:
    """Increments of both tracks between two scrapes, all of it under one weight.

    Times are seconds since the rollout started. `requests_seen` and `latency_seen` say whether both tracks
    answered for that kind of counter; a source that did not answer is not a source that counted nothing.
    """

    start_s: float
    end_s: float
    weight: int
    stable: TrackCounts = field(default_factory=TrackCounts)
    candidate: TrackCounts = field(default_factory=TrackCounts)
    requests_seen: bool = True
    latency_seen: bool = True


@dataclass(frozen=True, slots=True)
class Look:
    """One scrape as the evidence takes it: when, at which weight, and what both tracks counted since the scrape
    before. No block: the first scrape of all, or the first one at another weight."""

    at_s: float
    weight: int
    block: Block | None = None


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """Stable's counts of 5 seconds before the rollout, from /edgeramp/history; oldest row first."""

    requests: int
    bad: int
    latency: Buckets = ()


@dataclass(frozen=True, slots=True)
class RequestSeries:
    """Request counters of one source (a proxy pod, or a server pod where there is no gateway).

    `source` is unique per track and process line, such as the pod's name. `born_s` is when the process
    started, in seconds since the rollout's start; None when unknown. A proxy that answered but does not know
    the track's cluster yet is reported with zeros.
    """

    track: Track
    source: str
    total: int
    bad: int
    born_s: float | None = None


@dataclass(frozen=True, slots=True)
class LatencySeries:
    """Latency histogram of one pod: (upper edge in seconds, cumulative count), ascending, with +Inf last."""

    track: Track
    source: str
    cumulative: tuple[tuple[float, int], ...]
    born_s: float | None = None


@dataclass(frozen=True, slots=True)
class Scrape:
    """All series that answered at one moment; those that did not answer are simply absent."""

    at_s: float
    requests: tuple[RequestSeries, ...] = ()
    latency: tuple[LatencySeries, ...] = ()
