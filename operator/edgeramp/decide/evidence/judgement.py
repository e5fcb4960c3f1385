"""What the evidence says: a verdict, one finding per metric, one sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from edgeramp.values.verdict import Verdict


class EvidenceReason(StrEnum):
    """Why the verdict is what it is; CamelCase, fit for a condition's reason."""

    TOLERANCE_EXCEEDED = "ToleranceExceeded"
    OUTAGE = "CandidateOutage"
    METRICS_MISSING = "MetricsMissing"
    METRIC_HELD = "MetricHeld"
    MAX_DURATION = "MaxDurationReached"
    NO_DATA = "NoData"
    COLLECTING = "CollectingEvidence"
    PROVEN = "ProvenWithinMargin"


@dataclass(frozen=True, slots=True)
class MetricFinding:
    """One metric: what it shows now (`sentence`), what is said once it is proven (`claim`) or breached (`breach`).

    `against` is the evidence for a breach (1 is none; 1/falseRollback decides), `proven` that the candidate is
    within the promotion margin at the next weight (`needed` decides, 0 is not required); both are wealths.
    Counts are of both tracks since the ramp began; bad is slower than stable's p95 edge for latency.
    `low` and `high` bound candidate/stable (errors); `slower` is P(slower), where 0.5 is equal (latency).
    """

    name: str
    verdict: Verdict
    sentence: str
    against: float
    proven: float
    needed: float
    candidate: int
    candidate_bad: int
    stable: int
    stable_bad: int
    phi: float
    phi_source: str
    low: float | None = None
    high: float | None = None
    slower: float | None = None
    candidate_at_weight: int = 0
    claim: str = ""
    breach: str = ""

    def failed(self) -> MetricFinding:
        """The same finding as the one that decided a rollback."""
        return replace(self, verdict=Verdict.FAIL, sentence=f"{self.breach}.")


@dataclass(frozen=True, slots=True)
class Judgement:
    """The worst finding decides. `against` is sum(share * wealth); Fail at 1/falseRollback or by a guard."""

    verdict: Verdict
    reason: EvidenceReason
    sentence: str
    findings: tuple[MetricFinding, ...]
    against: float
