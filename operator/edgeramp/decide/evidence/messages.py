"""What a person reads: one sentence a decision, with the numbers that it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable

from edgeramp.decide.evidence import errors as failure_rate
from edgeramp.decide.evidence.config import ErrorsMetric, EvidenceConfig, LatencyMetric
from edgeramp.decide.evidence.judgement import MetricFinding
from edgeramp.decide.evidence.state import Dispersion, ErrorsEvidence, LatencyEvidence, Pair
from edgeramp.values.quantities import duration
from edgeramp.values.verdict import Verdict

Interval = tuple[float | None, float | None]


def rolled_back(config: EvidenceConfig, finding: MetricFinding, log: float) -> str:
    """The sentence of a rollback, and how rarely chance does the same."""
    limit = "unknown" if config.batch_limit is None else str(config.batch_limit)
    rare = "1,000,000" if log > math.log(1e6) else f"{math.floor(math.exp(log)):,}"
    return (
        f"Rolled back: {finding.breach}. Within tolerance, evidence this strong comes up in at most 1 of {rare}"
        f" rollouts (phi {finding.phi:.2f} {finding.phi_source}, batch limit {limit})."
    )


def outage(config: EvidenceConfig, window: Pair, stable: Pair) -> str:
    """The sentence of the outage guard."""
    guards = config.guards
    return (
        f"Rolled back: the candidate failed {window.candidate_bad:,} of its last {window.candidate:,} requests in"
        f" {guards.outage_scrapes} scrapes while stable failed {stable.stable_bad:,} of {stable.stable:,} (guard:"
        f" {percent(guards.outage_share)} of at least {guards.outage_requests})."
    )


def missing(weight: int, source: str, seconds: float) -> str:
    """The sentence for a metrics source that does not answer."""
    return f"Holding at {weight} %: no complete answer from the tracks' {source} for {duration(seconds)}."


def held(weight: int, finding: MetricFinding) -> str:
    """The sentence for a metric that holds."""
    return f"Holding at {weight} %: {finding.breach} (action Hold)."


def proven(weight: int, next_weight: int, findings: Iterable[MetricFinding], seconds: float) -> str:
    """The sentence of a step forward."""
    listed = tuple(findings)
    said = ", ".join(f.claim for f in listed)
    requests = max((f.candidate_at_weight for f in listed), default=0)
    return (
        f"{weight} % to {next_weight} %: candidate {said}, after {requests:,} candidate requests in"
        f" {duration(seconds)}."
    )


def waiting(weight: int, findings: Iterable[MetricFinding], seconds: float, step_s: float) -> str:
    """The sentence while the data cannot decide yet."""
    listed = tuple(findings)
    requests = max((f.candidate_at_weight for f in listed), default=0)
    if not requests:
        return f"Holding at {weight} %: no request has been counted on both tracks at this weight yet."
    open_ones = [f for f in listed if f.verdict is not Verdict.PASS]
    if not open_ones:
        return (
            f"Holding at {weight} %: within the margins after {requests:,} candidate requests,"
            f" {duration(max(0.0, step_s - seconds))} of the least {duration(step_s)} at a weight remain."
        )
    unproven = ", ".join(f"{f.name} ({_progress(f)})" for f in open_ones)
    return (
        f"Holding at {weight} %: {requests:,} candidate requests in {duration(seconds)} do not decide yet;"
        f" to be proven: {unproven}."
    )


def out_of_time(weight: int, findings: Iterable[MetricFinding], max_duration_s: float) -> str:
    """The sentence at the end of maxDuration."""
    listed = tuple(findings)
    unproven = ", ".join(f"{f.name} ({_progress(f)})" for f in listed if f.verdict is not Verdict.PASS)
    requests = max((f.candidate_at_weight for f in listed), default=0)
    return (
        f"Undecided at {weight} % after {duration(max_duration_s)} and {requests:,} candidate requests at this weight:"
        f" neither a breach of the tolerance nor the promotion margin was proven; open: {unproven}."
    )


def errors_claim(metric: ErrorsMetric, next_weight: int) -> str:
    """What is proven about the failure rate once it is."""
    if metric.user_budget is None:
        return "fails no more than is tolerated"
    return f"adds less than {points(failure_rate.margin(metric, next_weight))} errors"


def errors_now(metric: ErrorsMetric, evidence: ErrorsEvidence, next_weight: int, proof: float) -> str:
    """What the failure rate shows now; `proof` is the share of the needed evidence."""
    total, phi = evidence.total, evidence.phi
    need = ""
    if metric.user_budget is not None:
        need = (
            f"; to add less than {points(failure_rate.margin(metric, next_weight))} is proven to"
            f" {math.floor(100 * proof)} %"
        )
    return (
        f"{total.candidate_bad:,} of {total.candidate:,} candidate requests failed, stable"
        f" {total.stable_bad:,} of {total.stable:,}{need} (phi {phi.phi:.2f} {phi.source})."
    )


def errors_breach(
    metric: ErrorsMetric,
    evidence: ErrorsEvidence,
    interval: Interval,
    seconds: float,
) -> str:
    """The failure rate outside its tolerance, without a full stop."""
    total = evidence.total
    return (
        f"candidate error rate is {_ratio(interval, total)} after {total.candidate:,} candidate requests in"
        f" {duration(seconds)}; tolerated is {metric.ratio:g}x + {points(metric.add)}"
    )


def latency_claim(metric: LatencyMetric, evidence: LatencyEvidence) -> str:
    """What is proven about latency once it is."""
    slower = evidence.at_weight.slower
    value = "P unknown" if slower is None else f"P {slower:.2f}"
    if metric.promote_slower is None:
        return f"has latency {value}"
    return f"is not slower ({value}, needs < {metric.promote_slower:g})"


def latency_now(
    config: EvidenceConfig, metric: LatencyMetric, evidence: LatencyEvidence, phi: Dispersion, proof: float
) -> str:
    """What latency shows now; `proof` is the share of the needed evidence."""
    slower = evidence.at_weight.slower
    if not evidence.reference:
        return "stable's reference for latency is still being collected."
    if slower is None:
        return "no latency has been counted on both tracks at this weight yet."
    need = ""
    if metric.promote_slower is not None:
        need = f", below {metric.promote_slower:g} is proven to {math.floor(100 * proof)} %"
    return f"P(slower) {slower:.2f}{need}; {_tails(config, evidence)} (phi {phi.phi:.2f} {phi.source})."


def latency_breach(
    config: EvidenceConfig, metric: LatencyMetric, evidence: LatencyEvidence, seconds: float
) -> str:
    """Latency outside its tolerance, without a full stop."""
    if not evidence.reference or evidence.total.slower is None:
        return "candidate latency has no reference yet"
    return (
        f"candidate is slower than stable with P {evidence.total.slower:.2f} (tolerated {metric.slower:g});"
        f" {_tails(config, evidence)} (tolerated {metric.tail_ratio:g}x + {points(metric.tail_add)}), after"
        f" {evidence.total95.candidate:,} candidate requests in {duration(seconds)}"
    )


def proof_share(finding_proof: float | None, false_promotion: float) -> float:
    """How much of the needed log evidence is there, 0 to 1."""
    if finding_proof is None:
        return 1.0
    return min(1.0, max(0.0, finding_proof) / -math.log(false_promotion))


def _tails(config: EvidenceConfig, evidence: LatencyEvidence) -> str:
    total = evidence.total95
    edge = config.latency_edges[min(evidence.cut95, len(config.latency_edges) - 1)]
    return (
        f"{percent(_share(total.candidate_bad, total.candidate))} of the candidate's requests take longer than {_time(edge)},"
        f" stable's {percent(_share(total.stable_bad, total.stable))}"
    )


def percent(share: float) -> str:
    """0.979 as 97.9 %."""
    return f"{share * 100:.3g} %"


def points(share: float) -> str:
    """0.0005 as 0.05 pp."""
    return f"{share * 100:.3g} pp"


def _progress(finding: MetricFinding) -> str:
    if finding.needed <= 1.0 or not finding.candidate_at_weight:
        return "no data at this weight"
    share = math.log(max(finding.proven, 1.0)) / math.log(finding.needed)
    return f"{math.floor(100 * min(share, 1.0))} % of the evidence"


def _ratio(interval: Interval, total: Pair) -> str:
    low, high = interval
    bounds = "(99 % always-valid interval)"
    if low is not None and high is not None:
        return f"{low:.1f}x to {high:.1f}x of stable {bounds}"
    if low is not None:
        return f"at least {low:.1f}x of stable {bounds}"
    return _rates(total)


def _rates(total: Pair) -> str:
    candidate = percent(_share(total.candidate_bad, total.candidate))
    return f"{candidate} against stable's {percent(_share(total.stable_bad, total.stable))}"


def _share(bad: int, total: int) -> float:
    return bad / total if total else 0.0


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
