"""judge(state): from wealths to a verdict. The worst that holds is said, and nothing is Pass without evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgeramp.decide.evidence import errors, latency, messages, wealth
from edgeramp.decide.evidence.config import (
    Action,
    ErrorsMetric,
    EvidenceConfig,
    LatencyMetric,
    Metric,
)
from edgeramp.decide.evidence.judgement import EvidenceReason, Judgement, MetricFinding
from edgeramp.decide.evidence.state import (
    ErrorsEvidence,
    EvidenceState,
    LatencyEvidence,
    MetricEvidence,
    Pair,
)
from edgeramp.values.errors import InvariantBroken
from edgeramp.values.verdict import Verdict

_FINE = 0.1
"""Stable is fine for the outage guard while it fails fewer than this share."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What a judgement is made of."""

    config: EvidenceConfig
    state: EvidenceState
    weight: int
    next_weight: int
    seconds: float

    @property
    def current(self) -> bool:
        """Whether the state has been scraped at this weight yet; what it proved before is of another one."""
        return self.state.weight == self.weight


def judge(
    config: EvidenceConfig,
    state: EvidenceState,
    weight: int,
    next_weight: int | None,
    seconds_at_weight: float,
) -> Judgement:
    """Decide from the state. `next_weight` None or 100: promotion asks for the margin of weight 100.

    Pass needs `seconds_at_weight` >= step_s and every required metric proven with the data of this weight. When
    the last scrape is older than guards.missing_scrapes of them, by `seconds_at_weight`, that is an Error too.
    """
    look = _Look(config, state, weight, next_weight or 100, seconds_at_weight)
    logs = _logs_against(config, state)
    combined = _combined(config, logs)
    findings = tuple(
        _finding(look, metric, evidence, log)
        for metric, evidence, log in zip(config.metrics, state.metrics, logs, strict=True)
    )
    verdict, reason, sentence = (
        _outage(look)
        or _breach(look, findings, logs, combined)
        or _missing(look)
        or _held(look, findings)
        or _progress(look, findings)
    )
    if verdict is Verdict.FAIL and reason is EvidenceReason.TOLERANCE_EXCEEDED:
        findings = _marked(config, findings, logs)
    return Judgement(verdict, reason, sentence, findings, _exp(combined))


def log_evidence(config: EvidenceConfig, state: EvidenceState) -> float:
    """log of sum(share * W) over the metrics that may roll back; -log(falseRollback) decides."""
    return _combined(config, _logs_against(config, state))


_Said = tuple[Verdict, EvidenceReason, str]


def _outage(look: _Look) -> _Said | None:
    """The guard: nearly all of the candidate's requests failed in the last scrapes, and stable is fine."""
    guards, recent = look.config.guards, look.state.recent
    if not guards.outage or len(recent) < guards.outage_scrapes:
        return None
    window = sum(recent, Pair())
    stable = window if window.stable else _total(look.state)
    bad_enough = window.candidate_bad >= guards.outage_share * window.candidate
    fine = stable.stable > 0 and stable.stable_bad < _FINE * stable.stable
    if window.candidate < guards.outage_requests or not bad_enough or not fine:
        return None
    return Verdict.FAIL, EvidenceReason.OUTAGE, messages.outage(look.config, window, stable)


def _breach(
    look: _Look, findings: tuple[MetricFinding, ...], logs: list[float], combined: float
) -> _Said | None:
    if combined < -math.log(look.config.false_rollback):
        return None
    finding = findings[_dominant(look.config, logs)]
    text = messages.rolled_back(look.config, finding, combined)
    return Verdict.FAIL, EvidenceReason.TOLERANCE_EXCEEDED, text


def _missing(look: _Look) -> _Said | None:
    limit = look.config.guards.missing_scrapes
    kinds = {type(metric) for metric in look.config.metrics}
    state = look.state
    age = look.seconds - (state.now_s - state.weight_since_s) if look.current else 0.0
    if age > limit * look.config.scrape_interval_s:
        text = messages.missing(look.weight, "metrics", age)
        return Verdict.ERROR, EvidenceReason.METRICS_MISSING, text
    for needed, scrapes, source in (
        (ErrorsMetric, state.missing_requests, "request counters"),
        (LatencyMetric, state.missing_latency, "latency metrics"),
    ):
        if needed in kinds and scrapes >= limit:
            text = messages.missing(look.weight, source, scrapes * look.config.scrape_interval_s)
            return Verdict.ERROR, EvidenceReason.METRICS_MISSING, text
    return None


def _held(look: _Look, findings: tuple[MetricFinding, ...]) -> _Said | None:
    """A metric with action Hold that is outside its tolerance keeps the weight where it is."""
    for metric, finding in zip(look.config.metrics, findings, strict=True):
        if metric.action is Action.HOLD and finding.against >= 1.0 / look.config.false_rollback:
            text = messages.held(look.weight, finding)
            return _late(look) or Verdict.AWAITING_EVIDENCE, EvidenceReason.METRIC_HELD, text
    return None


def _progress(look: _Look, findings: tuple[MetricFinding, ...]) -> _Said:
    """Proven, or not yet, or not in time."""
    required = [
        f for m, f in zip(look.config.metrics, findings, strict=True) if m.action is not Action.REPORT
    ]
    proven = all(f.verdict is Verdict.PASS for f in required)
    if proven and look.seconds >= look.config.step_s:
        text = messages.proven(look.weight, look.next_weight, findings, look.seconds)
        return Verdict.PASS, EvidenceReason.PROVEN, text
    late = _late(look)
    if late is not None and not proven:
        text = messages.out_of_time(look.weight, findings, look.config.max_duration_s)
        return late, EvidenceReason.MAX_DURATION, text
    counted = any(f.candidate_at_weight for f in findings)
    reason = EvidenceReason.COLLECTING if counted else EvidenceReason.NO_DATA
    text = messages.waiting(look.weight, findings, look.seconds, look.config.step_s)
    return Verdict.AWAITING_EVIDENCE, reason, text


def _late(look: _Look) -> Verdict | None:
    began = look.state.began_s
    over = began >= 0 and look.state.now_s - began >= look.config.max_duration_s
    return Verdict.INCONCLUSIVE if over else None


def _finding(look: _Look, metric: Metric, evidence: MetricEvidence, log: float) -> MetricFinding:
    match metric, evidence:
        case ErrorsMetric(), ErrorsEvidence():
            return _errors_finding(look, metric, evidence, log)
        case LatencyMetric(), LatencyEvidence():
            return _latency_finding(look, metric, evidence, log)
    raise InvariantBroken(f"metric {metric.name} holds {type(evidence).__name__}")


def _errors_finding(look: _Look, metric: ErrorsMetric, evidence: ErrorsEvidence, log: float) -> MetricFinding:
    total = evidence.total + evidence.pending
    low, high = errors.ratio_interval(evidence)
    proof = errors.log_proof(evidence, look.next_weight)
    at_weight = evidence.at_weight.candidate if look.current else 0
    return MetricFinding(
        name=metric.name,
        verdict=_proof_verdict(look, proof, at_weight > 0),
        sentence=messages.errors_now(metric, evidence, look.next_weight, _proof_share(look, proof)),
        claim=messages.errors_claim(metric, look.next_weight),
        against=_exp(log),
        proven=_exp(proof or 0.0),
        needed=0.0 if proof is None else 1.0 / look.config.false_promotion,
        candidate=total.candidate,
        candidate_bad=total.candidate_bad,
        stable=total.stable,
        stable_bad=total.stable_bad,
        phi=evidence.phi.phi,
        phi_source=evidence.phi.source,
        low=low,
        high=high,
        candidate_at_weight=at_weight,
        breach=messages.errors_breach(metric, evidence, (low, high), _ramp_s(look)),
    )


def _latency_finding(
    look: _Look, metric: LatencyMetric, evidence: LatencyEvidence, log: float
) -> MetricFinding:
    proof = wealth.log_sum_exp(evidence.promote) if evidence.promote else None
    at_weight = evidence.at_weight.candidate if look.current else 0
    phi = latency.phis_now(evidence)[0]
    return MetricFinding(
        name=metric.name,
        verdict=_proof_verdict(look, proof, at_weight > 0),
        sentence=messages.latency_now(look.config, metric, evidence, phi, _proof_share(look, proof)),
        claim=messages.latency_claim(metric, evidence),
        against=_exp(log),
        proven=_exp(proof or 0.0),
        needed=0.0 if proof is None else 1.0 / look.config.false_promotion,
        candidate=evidence.total95.candidate,
        candidate_bad=evidence.total95.candidate_bad,
        stable=evidence.total95.stable,
        stable_bad=evidence.total95.stable_bad,
        phi=phi.phi,
        phi_source=phi.source,
        slower=evidence.total.slower,
        candidate_at_weight=at_weight,
        breach=messages.latency_breach(look.config, metric, evidence, _ramp_s(look)),
    )


def _proof_verdict(look: _Look, proof: float | None, seen: bool) -> Verdict:
    """Pass once proven with data of this weight; a metric without a margin (None) only needs data."""
    proven = seen and (proof is None or proof >= -math.log(look.config.false_promotion))
    return Verdict.PASS if proven else Verdict.AWAITING_EVIDENCE


def _proof_share(look: _Look, proof: float | None) -> float:
    return messages.proof_share(proof, look.config.false_promotion)


def _ramp_s(look: _Look) -> float:
    return look.state.now_s - max(look.state.began_s, 0.0)


def _logs_against(config: EvidenceConfig, state: EvidenceState) -> list[float]:
    """The log of each metric's wealth."""
    return [
        wealth.log_wealth(evidence.wealth, state.minutes_paid, config.max_duration_s)
        if isinstance(evidence, ErrorsEvidence)
        else latency.log_against(config, evidence, state.minutes_paid)
        for evidence in state.metrics
    ]


def _combined(config: EvidenceConfig, logs: list[float]) -> float:
    """log of sum(share * W) over the metrics that may roll back, shares summing to 1."""
    parts = [(m.share, log) for m, log in zip(config.metrics, logs, strict=True) if _counts(m)]
    whole = sum(share for share, _ in parts)
    return wealth.log_sum_exp(math.log(share / whole) + log for share, log in parts)


def _counts(metric: Metric) -> bool:
    return metric.action is Action.ROLLBACK and metric.share > 0


def _dominant(config: EvidenceConfig, logs: list[float]) -> int:
    """The index of the metric that contributes most to the evidence."""
    shares = [
        math.log(m.share) + log if _counts(m) else -math.inf
        for m, log in zip(config.metrics, logs, strict=True)
    ]
    return shares.index(max(shares))


def _marked(
    config: EvidenceConfig, findings: tuple[MetricFinding, ...], logs: list[float]
) -> tuple[MetricFinding, ...]:
    worst = _dominant(config, logs)
    return tuple(f.failed() if i == worst else f for i, f in enumerate(findings))


def _total(state: EvidenceState) -> Pair:
    for evidence in state.metrics:
        if isinstance(evidence, ErrorsEvidence):
            return evidence.total
    return Pair()


def _exp(log: float) -> float:
    """A wealth for people and JSON: never infinite."""
    return math.exp(min(log, 690.0))
