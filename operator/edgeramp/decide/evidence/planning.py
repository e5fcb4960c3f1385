"""The plan: before a ramp, what would be found at this traffic and when. Within 10-20 % of the simulation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import NormalDist

from edgeramp.decide.evidence import errors, latency
from edgeramp.decide.evidence.blocks import HistoryRow
from edgeramp.decide.evidence.config import ErrorsMetric, EvidenceConfig, LatencyMetric
from edgeramp.values.quantities import duration

_ASSUMED_SPREAD = 0.6
"""Standard deviation of the log of latency that the plan assumes."""
_SLOWER = 1.5
_FROM, _TO = 0.001, 0.01


def plan(
    config: EvidenceConfig, requests_per_s: float, weight: int, history: Sequence[HistoryRow] = ()
) -> str:
    """At this weight and traffic, what would be found and when; and how long a healthy ramp takes."""
    where = f"At {weight} % of {requests_per_s:g} requests/s"
    if requests_per_s <= 0 or not 0 < weight < 100:
        return f"{where} nothing can be found: both tracks need requests."
    per_s = requests_per_s * weight / 100.0
    odds = (100.0 - weight) / weight
    found = []
    for metric in config.metrics:
        if isinstance(metric, ErrorsMetric):
            phi = errors.initial(config, metric, history).phi.phi
            outage = errors_requests(config, metric, phi, odds, _FROM, 1.0)
            rise = errors_requests(config, metric, phi, odds, _FROM, _TO)
            found.append((_at_scrape(config, outage / per_s), "an outage is seen"))
            found.append((_at_scrape(config, rise / per_s), "errors 0.1→1 %"))
        else:
            phi = latency.initial(config, metric, history).phi_ranks.phi
            slow = latency_requests(config, metric, phi, odds, _SLOWER)
            found.append((_at_scrape(config, slow / per_s), "p95 +50 %"))
    parts = [f"{what} in about {duration(seconds)}" for seconds, what in sorted(found)]
    healthy = duration(ramp_seconds(config, requests_per_s, history))
    return f"{where} {', '.join(parts)}. A healthy candidate takes about {healthy} to 100 %."


def errors_requests(
    config: EvidenceConfig, metric: ErrorsMetric, phi: float, odds: float, stable: float, candidate: float
) -> float:
    """Candidate requests until a rise of the failure rate is found; `odds` is stable's requests per candidate's."""
    centre = (stable * odds + candidate - metric.add) / (odds + metric.ratio)
    bound = metric.ratio * centre + metric.add
    gain = _divergence(candidate, bound) + odds * _divergence(stable, centre)
    return phi * (_needed(config, metric.share) + 2.0) / gain


def latency_requests(
    config: EvidenceConfig, metric: LatencyMetric, phi: float, odds: float, factor: float
) -> float:
    """Candidate requests until all latencies being `factor` times as long is found."""
    moved = math.log(factor) / (_ASSUMED_SPREAD * math.sqrt(2.0))
    excess = NormalDist().cdf(moved) - metric.slower
    if excess <= 0:
        return math.inf
    gain = excess * excess * 6.0 * odds / (1.0 + odds)
    return phi * (_needed(config, metric.share * latency.SHARES[1]) + 2.0) / gain


def promotion_requests(metric: ErrorsMetric, target: int, stable: float) -> float:
    """Candidate requests until a healthy candidate is proven fit for `target` per cent."""
    allowed = errors.margin(metric, target)
    return 5.0 * (allowed + 1.6 * stable) / (allowed * allowed) if allowed else 0.0


def ramp_seconds(config: EvidenceConfig, requests_per_s: float, history: Sequence[HistoryRow] = ()) -> float:
    """How long a healthy ramp through the config's weights takes, pauses left out."""
    return sum(seconds for _, _, seconds in step_seconds(config, requests_per_s, history))


def step_seconds(
    config: EvidenceConfig, requests_per_s: float, history: Sequence[HistoryRow] = ()
) -> Iterator[tuple[int, int, float]]:
    """Each weight of a healthy ramp, the one after it, and how long proving it takes."""
    stable = stable_rate(history)
    earned = 0.0
    for weight, target in pairwise([*[w for w in config.weights if w < 100], 100]):
        per_s = requests_per_s * weight / 100.0
        waits = [config.step_s]
        for metric in config.metrics:
            if isinstance(metric, ErrorsMetric):
                needed = promotion_requests(metric, target, stable)
                waits.append(max(needed - earned, needed / 2.0) / per_s)
            else:
                phi = latency.initial(config, metric, history).phi_ranks.phi
                waits.append(_rank_proof(config, metric, phi, (100.0 - weight) / weight) / per_s)
        every = config.scrape_interval_s
        wait = math.ceil(max(waits) / every) * every
        earned += wait * per_s
        yield weight, target, wait


def stable_rate(history: Sequence[HistoryRow]) -> float:
    """The share of stable's requests that is expected to fail."""
    return errors.expected_rate((sum(row.requests for row in history), sum(row.bad for row in history)))


def _rank_proof(config: EvidenceConfig, metric: LatencyMetric, phi: float, odds: float) -> float:
    """Candidate requests until an equally fast candidate is proven to be within the margin."""
    if metric.promote_slower is None:
        return 0.0
    allowed = metric.promote_slower - 0.5
    gain = allowed * allowed * 6.0 * odds / (1.0 + odds)
    return phi * (-math.log(config.false_promotion) + 1.1) / gain


def _needed(config: EvidenceConfig, share: float) -> float:
    whole = sum(metric.share for metric in config.metrics)
    return -math.log(config.false_rollback * share / whole) if share else math.inf


def _at_scrape(config: EvidenceConfig, seconds: float) -> float:
    """Things are seen at a scrape, and not before the second."""
    every = config.scrape_interval_s
    return max(1, math.ceil(seconds / every)) * every if math.isfinite(seconds) else config.max_duration_s


def _divergence(x: float, y: float) -> float:
    return x * math.log(x / y) - x + y
