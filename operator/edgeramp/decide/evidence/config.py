"""What the tests are asked to promise: rates, tolerances, margins and guards, as plain numbers.

All durations are seconds, all rates are shares of one (0.01 is 1 %), weights are whole per cents (0 to 100).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Action(StrEnum):
    """What a proven breach of a metric's tolerance does."""

    ROLLBACK = "Rollback"
    HOLD = "Hold"
    REPORT = "Report"


def _default_edges() -> tuple[float, ...]:
    """Upper bounds of the servers' latency buckets, seconds: 0.0001 * 1.1^k up to 60 s; +Inf is implied."""
    edges = [0.0001]
    while edges[-1] < 60.0:
        edges.append(0.0001 * 1.1 ** len(edges))
    return tuple(edges)


DEFAULT_EDGES = _default_edges()


@dataclass(frozen=True, slots=True)
class ErrorsMetric:
    """Bad requests (5xx, timeout, refused, cut off). Tolerated: pC <= ratio * pS + add."""

    name: str = "errors"
    share: float = 1.0
    action: Action = Action.ROLLBACK
    ratio: float = 1.1
    add: float = 0.0005
    user_budget: float | None = 0.002
    """To be promoted: fewer than `user_budget / next weight` more errors than stable. None: not required."""


@dataclass(frozen=True, slots=True)
class LatencyMetric:
    """Latency by ranks: P(slower) and the shares above stable's p95 and p99."""

    name: str = "latency"
    share: float = 1.0
    action: Action = Action.ROLLBACK
    slower: float = 0.52
    tail_ratio: float = 1.1
    tail_add: float = 0.002
    promote_slower: float | None = 0.56
    """To be promoted: P(slower) proven below this. None: not required."""
    grace_steps: int = 0
    """Buckets of 10 % by which the candidate may be slower before anything counts."""


Metric = ErrorsMetric | LatencyMetric


@dataclass(frozen=True, slots=True)
class Guards:
    """Rules that act at once, outside the statistical promise. Crash loops are judged by the ramp planner."""

    outage_share: float = 0.9
    outage_requests: int = 10
    outage_scrapes: int = 3
    outage: bool = True
    missing_scrapes: int = 6


@dataclass(frozen=True, slots=True)
class EvidenceConfig:
    """Everything the evidence depends on besides the counts. Fixed for the life of a rollout.

    `weights` are the weights the ramp may go to (100 is always added); non-inferiority is tracked for each.
    `batch_limit` is the candidate server's largest batch (1: it does not batch; None: unknown, taken as 8).
    `dispersion` None means measured (`auto`). In the first `warmup_s` of the candidate's traffic its latency is not
    judged: a server that has just started is slow for a moment. Its errors count from the first request.
    Raises ValueError when a value makes no sense.
    """

    false_rollback: float = 0.01
    false_promotion: float = 0.05
    max_duration_s: float = 7200.0
    step_s: float = 30.0
    warmup_s: float = 30.0
    scrape_interval_s: float = 5.0
    weights: tuple[int, ...] = (5, 25, 50, 100)
    metrics: tuple[Metric, ...] = (ErrorsMetric(), LatencyMetric())
    guards: Guards = field(default_factory=Guards)
    batch_limit: int | None = None
    dispersion: float | None = None
    latency_edges: tuple[float, ...] = DEFAULT_EDGES

    def __post_init__(self) -> None:
        for name in ("false_rollback", "false_promotion"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"{name} must be above 0 and below 1, not {getattr(self, name)}")
        if self.max_duration_s <= 0 or self.scrape_interval_s <= 0 or self.step_s < 0 or self.warmup_s < 0:
            raise ValueError(
                "max_duration_s and scrape_interval_s must be above 0, step_s and warmup_s 0 or more"
            )
        if not self.metrics or len({m.name for m in self.metrics}) != len(self.metrics):
            raise ValueError("metrics must have at least one entry, each with its own name")
        if any(m.share < 0 for m in self.metrics) or not any(m.share > 0 for m in self.metrics):
            raise ValueError("share of a metric must not be negative, and one of them must be above 0")
        if any(not 0 < w <= 100 for w in self.weights):
            raise ValueError("weights must be above 0 and at most 100")
        if self.batch_limit is not None and self.batch_limit < 1:
            raise ValueError("batch_limit must be at least 1")
        if self.dispersion is not None and self.dispersion < 1:
            raise ValueError("dispersion must be at least 1")
