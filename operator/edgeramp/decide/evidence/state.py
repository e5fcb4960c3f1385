"""The evidence so far: all that has to survive a crash of the operator, frozen, and its JSON form."""

from __future__ import annotations

from dataclasses import dataclass

from edgeramp.decide.evidence.blocks import Buckets

Logs = tuple[float, ...]
"""Natural logs of wealths, one per arm."""

VERSION = 1


@dataclass(frozen=True, slots=True)
class Dispersion:
    """How many requests one event may fail together. `source`: measured, assumed, in the ramp, batch limit
    or set."""

    phi: float
    source: str


@dataclass(frozen=True, slots=True)
class Running:
    """phi of stable's blocks in the ramp itself: sum of squared differences of neighbours over `pairs` of them."""

    pairs: int = 0
    squares: float = 0.0
    last_n: int = 0
    last: float = 0.0


@dataclass(frozen=True, slots=True)
class Pair:
    """Requests and bad ones of both tracks over the same time."""

    stable: int = 0
    stable_bad: int = 0
    candidate: int = 0
    candidate_bad: int = 0

    def __add__(self, other: Pair) -> Pair:
        return Pair(
            self.stable + other.stable,
            self.stable_bad + other.stable_bad,
            self.candidate + other.candidate,
            self.candidate_bad + other.candidate_bad,
        )


@dataclass(frozen=True, slots=True)
class RankSums:
    """Mid-rank scores of both tracks: how many, and their sum."""

    stable: int = 0
    stable_sum: float = 0.0
    candidate: int = 0
    candidate_sum: float = 0.0

    def __add__(self, other: RankSums) -> RankSums:
        return RankSums(
            self.stable + other.stable,
            self.stable_sum + other.stable_sum,
            self.candidate + other.candidate,
            self.candidate_sum + other.candidate_sum,
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean differences of mid-ranks, candidate minus stable, weighted by nC*nS/(nC+nS) of each block."""

    candidate: int = 0
    stable: int = 0
    weight: float = 0.0
    weighted: float = 0.0

    def plus(self, block: RankSums) -> Difference:
        """With the difference of one more block, in which both tracks have requests."""
        weight = block.candidate * block.stable / (block.candidate + block.stable)
        difference = block.candidate_sum / block.candidate - block.stable_sum / block.stable
        return Difference(
            self.candidate + block.candidate,
            self.stable + block.stable,
            self.weight + weight,
            self.weighted + weight * difference,
        )

    @property
    def slower(self) -> float | None:
        """P(slower): one half is equal; None without data."""
        return 0.5 + self.weighted / self.weight if self.weight else None


@dataclass(frozen=True, slots=True)
class Promotion:
    """Evidence that the candidate is fit for the weight `target`; `before` is its log when this weight began."""

    target: int
    logs: Logs
    before: float


@dataclass(frozen=True, slots=True)
class ErrorsEvidence:
    """Evidence of a failure-rate metric."""

    phi: Dispersion
    seen: tuple[int, int]
    """Stable's requests and bad ones, of the last five minutes of history and since; what the bets expect."""
    wealth: Logs
    interval: Logs
    promote: tuple[Promotion, ...]
    pending: Pair = Pair()
    total: Pair = Pair()
    at_weight: Pair = Pair()


@dataclass(frozen=True, slots=True)
class LatencyEvidence:
    """Evidence of a latency metric. Nothing is tested before `reference` is frozen (it is () until then)."""

    phi_ranks: Dispersion
    phi_p95: Dispersion
    phi_p99: Dispersion
    running: tuple[Running, Running, Running]
    """Of ranks, of the tail at p95, of the tail at p99."""
    reference: Buckets
    collecting: Buckets
    cut95: int
    cut99: int
    block_s: float
    shift: Logs
    ranks: Logs
    p95: Logs
    p99: Logs
    promote: Logs
    squares: float = 0.0
    blocks: int = 0
    pending: RankSums = RankSums()
    pending_s: float = 0.0
    held: tuple[Buckets, Buckets] = ((), ())
    seen: RankSums = RankSums()
    total95: Pair = Pair()
    total99: Pair = Pair()
    total: Difference = Difference()
    at_weight: Difference = Difference()


MetricEvidence = ErrorsEvidence | LatencyEvidence


@dataclass(frozen=True, slots=True)
class LastRequests:
    """Last counters of one request series."""

    track: str
    source: str
    total: int
    bad: int
    at_s: float


@dataclass(frozen=True, slots=True)
class LastLatency:
    """Last histogram of one pod, already in the config's buckets, not cumulative."""

    track: str
    source: str
    buckets: Buckets
    at_s: float


@dataclass(frozen=True, slots=True)
class Counters:
    """The last value of every series seen, and when the last scrape was (seconds since the rollout's start).

    Values from before `fresh_s` are from another weight and only serve as a baseline.
    """

    at_s: float
    requests: tuple[LastRequests, ...] = ()
    latency: tuple[LastLatency, ...] = ()
    fresh_s: float = 0.0


@dataclass(frozen=True, slots=True)
class EvidenceState:
    """Everything known after the last block. `metrics` is aligned with `EvidenceConfig.metrics`.

    `began_s` is when the candidate first had traffic (its first weight above 0).
    """

    now_s: float
    weight: int
    weight_since_s: float
    began_s: float
    minutes_paid: int
    metrics: tuple[MetricEvidence, ...]
    recent: tuple[Pair, ...] = ()
    missing_requests: int = 0
    missing_latency: int = 0
    counters: Counters | None = None
