"""state' = step(state, block): the whole of what a scrape does to the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgeramp.decide.evidence import errors, latency, wealth
from edgeramp.decide.evidence.blocks import Block, HistoryRow, Look, Scrape
from edgeramp.decide.evidence.config import ErrorsMetric, EvidenceConfig, LatencyMetric, Metric
from edgeramp.decide.evidence.counters import increments
from edgeramp.decide.evidence.state import (
    Counters,
    ErrorsEvidence,
    EvidenceState,
    LatencyEvidence,
    MetricEvidence,
)
from edgeramp.values.errors import InvariantBroken

NOT_BEGUN = -1.0


def initial_state(
    config: EvidenceConfig, history: Sequence[HistoryRow] = (), weight: int = 0
) -> EvidenceState:
    """The state before the first block. `history`: stable's rows of 5 s, oldest first, up to 4 h; may be empty.

    Without enough history (200 requests) the latency reference is made of stable's first requests in the ramp,
    and latency is tested from then on; phi is assumed (`dispersion.combined`).
    """
    return EvidenceState(
        now_s=0.0,
        weight=weight,
        weight_since_s=0.0,
        began_s=0.0 if weight else NOT_BEGUN,
        minutes_paid=0,
        metrics=tuple(_initial(config, metric, history) for metric in config.metrics),
    )


def observe(config: EvidenceConfig, state: EvidenceState, scrape: Scrape, weight: int) -> EvidenceState:
    """The state after one scrape: `looked`, then `follow`."""
    counters, look = looked(config, state, scrape, weight)
    return replace(follow(config, state, look), counters=counters)


def looked(
    config: EvidenceConfig, state: EvidenceState, scrape: Scrape, weight: int
) -> tuple[Counters, Look]:
    """The last counters after this scrape, and what it adds to the evidence: the block since the scrape before,
    unless the weight changed in between."""
    counters, block = increments(config, state.counters, scrape, weight)
    if weight != state.weight:
        return replace(counters, fresh_s=scrape.at_s), Look(scrape.at_s, weight)
    return counters, Look(scrape.at_s, weight, block)


def follow(config: EvidenceConfig, state: EvidenceState, look: Look) -> EvidenceState:
    """The state after one look, whose last counters are left as they were."""
    if look.weight != state.weight:
        return replace(_enter_weight(state, look.weight, look.at_s), now_s=look.at_s)
    if look.block is None:
        return replace(state, now_s=look.at_s)
    return step(config, state, look.block)


def step(config: EvidenceConfig, state: EvidenceState, block: Block) -> EvidenceState:
    """The state after one block, all of which was counted under `block.weight`."""
    if block.weight != state.weight:
        state = _enter_weight(state, block.weight, block.start_s)
    due = wealth.minutes_due(block.start_s, config.max_duration_s)
    money = max(0, due - state.minutes_paid)
    warming = block.start_s < state.began_s + config.warmup_s
    recent = (*state.recent, errors.pair_of(block))[-config.guards.outage_scrapes :]
    return replace(
        state,
        now_s=block.end_s,
        minutes_paid=max(due, state.minutes_paid),
        metrics=tuple(
            _advance(config, metric, evidence, block, money, warming)
            for metric, evidence in zip(config.metrics, state.metrics, strict=True)
        ),
        recent=recent,
        missing_requests=0 if block.requests_seen else state.missing_requests + 1,
        missing_latency=0 if block.latency_seen else state.missing_latency + 1,
    )


def _initial(config: EvidenceConfig, metric: Metric, history: Sequence[HistoryRow]) -> MetricEvidence:
    if isinstance(metric, ErrorsMetric):
        return errors.initial(config, metric, history)
    return latency.initial(config, metric, history)


def _enter_weight(state: EvidenceState, weight: int, at_s: float) -> EvidenceState:
    begins = weight > 0 and state.began_s == NOT_BEGUN
    return replace(
        state,
        weight=weight,
        weight_since_s=at_s,
        began_s=at_s if begins else state.began_s,
        recent=(),
        metrics=tuple(
            errors.enter_weight(evidence)
            if isinstance(evidence, ErrorsEvidence)
            else latency.enter_weight(evidence)
            for evidence in state.metrics
        ),
    )


def _advance(
    config: EvidenceConfig,
    metric: Metric,
    evidence: MetricEvidence,
    block: Block,
    money: int,
    warming: bool,
) -> MetricEvidence:
    match metric, evidence:
        case ErrorsMetric(), ErrorsEvidence():
            return errors.advance(config, metric, evidence, block, money)
        case LatencyMetric(), LatencyEvidence():
            return latency.advance(config, metric, evidence, block, money, warming)
    raise InvariantBroken(f"metric {metric.name} holds {type(evidence).__name__}")
