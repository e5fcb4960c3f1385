"""The latency metric: shift of mid-ranks in stable's frozen reference, and the tails above its p95 and p99."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from edgeramp.decide.evidence import dispersion, factors, histogram, wealth
from edgeramp.decide.evidence.blocks import Block, Buckets, HistoryRow
from edgeramp.decide.evidence.config import EvidenceConfig, LatencyMetric
from edgeramp.decide.evidence.state import (
    Difference,
    Dispersion,
    LatencyEvidence,
    Logs,
    Pair,
    RankSums,
    Running,
)

REFERENCE_REQUESTS = 200
"""Stable's requests before the reference is frozen; what was counted until then only makes the reference."""
_HISTORY_REQUESTS = 2000
_SEED_ROWS = 60
_ROW_S = 5.0
_SHIFT_REQUESTS = 10
_SHIFT_WEIGHT = 5.0
_EQUAL = 0.5
SHARES = (0.2, 0.2, 0.3, 0.3)
"""Of the metric's money: shift, betting on ranks, tail at p95, tail at p99."""


def initial(config: EvidenceConfig, metric: LatencyMetric, history: Sequence[HistoryRow]) -> LatencyEvidence:
    """No evidence yet; reference, edges and phi from stable's history as far as there is one."""
    unknown = dispersion.combined(None, config.batch_limit, config.dispersion)
    empty = LatencyEvidence(
        phi_ranks=unknown,
        phi_p95=unknown,
        phi_p99=unknown,
        running=(Running(), Running(), Running()),
        reference=(),
        collecting=(),
        cut95=0,
        cut99=0,
        block_s=_ROW_S,
        shift=wealth.first_money(len(factors.SHIFT_ARMS)),
        ranks=wealth.first_money(len(factors.RANK_ARMS)),
        p95=wealth.first_money(len(factors.COUNT_ARMS)),
        p99=wealth.first_money(len(factors.COUNT_ARMS)),
        promote=no_promotion(metric),
    )
    reference = _recent(history)
    if sum(reference) < REFERENCE_REQUESTS:
        return replace(empty, collecting=reference)
    return _with_history(config, _frozen(empty, reference), history)


def no_promotion(metric: LatencyMetric) -> Logs:
    """Nothing proven yet."""
    return wealth.equal_money(len(_wanted(metric))) if _wanted(metric) else ()


def enter_weight(evidence: LatencyEvidence) -> LatencyEvidence:
    """As for errors: promotion anew, and no block spans two weights."""
    return replace(
        evidence,
        pending=RankSums(),
        pending_s=0.0,
        held=((), ()),
        at_weight=Difference(),
        running=_unlinked(evidence),
        promote=wealth.restart(evidence.promote) if evidence.promote else (),
    )


def advance(
    config: EvidenceConfig,
    metric: LatencyMetric,
    evidence: LatencyEvidence,
    block: Block,
    money: int,
    warming: bool = False,
) -> LatencyEvidence:
    """The evidence after one block; `money` is how many minutes of late money to place before it.

    While the candidate is `warming` only stable is looked at: its reference, and how much its latency wanders.
    """
    evidence = _paid(config, evidence, money)
    if not evidence.reference:
        collecting = histogram.add(evidence.collecting, block.stable.latency)
        if sum(collecting) < REFERENCE_REQUESTS:
            return replace(evidence, collecting=collecting)
        return _frozen(evidence, collecting)
    if warming:
        return _of_stable(evidence, block.stable.latency)
    stable = histogram.add(evidence.held[0], block.stable.latency)
    candidate = histogram.add(evidence.held[1], histogram.faster(block.candidate.latency, metric.grace_steps))
    evidence = replace(evidence, pending_s=evidence.pending_s + block.end_s - block.start_s)
    if not sum(stable) or not sum(candidate):
        return replace(evidence, held=(stable, candidate))
    return _tested(metric, replace(evidence, held=((), ())), stable, candidate)


def log_against(config: EvidenceConfig, evidence: LatencyEvidence, minutes_paid: int) -> float:
    """Log of the metric's wealth: its four tests by their shares."""
    tests = (evidence.shift, evidence.ranks, evidence.p95, evidence.p99)
    return wealth.log_sum_exp(
        math.log(share) + wealth.log_wealth(logs, minutes_paid, config.max_duration_s)
        for share, logs in zip(SHARES, tests, strict=True)
    )


def _tested(
    metric: LatencyMetric, evidence: LatencyEvidence, stable: Buckets, candidate: Buckets
) -> LatencyEvidence:
    """All tests on one block in which both tracks have requests."""
    by = histogram.scores(evidence.reference)
    scored = histogram.scored(stable, by), histogram.scored(candidate, by)
    sums = RankSums(sum(stable), _sum(scored[0]), sum(candidate), _sum(scored[1]))
    tails = [
        Pair(sums.stable, histogram.tail(stable, cut), sums.candidate, histogram.tail(candidate, cut))
        for cut in (evidence.cut95, evidence.cut99)
    ]
    phis = phis_now(evidence)
    evidence = _bets(metric, evidence, scored, sums, phis[0])
    return replace(
        _shifted(metric, replace(evidence, pending=evidence.pending + sums)),
        p95=_tail(metric, evidence.p95, tails[0], phis[1]),
        p99=_tail(metric, evidence.p99, tails[1], phis[2]),
        running=_run_on(evidence, sums, tails),
        seen=evidence.seen + RankSums(sums.stable, sums.stable_sum),
        total95=evidence.total95 + tails[0],
        total99=evidence.total99 + tails[1],
        total=evidence.total.plus(sums),
        at_weight=evidence.at_weight.plus(sums),
    )


def phis_now(evidence: LatencyEvidence) -> tuple[Dispersion, Dispersion, Dispersion]:
    """phi of ranks and both tails, from what was read before now."""
    starts = (evidence.phi_ranks, evidence.phi_p95, evidence.phi_p99)
    ranks, p95, p99 = (dispersion.in_ramp(s, r) for s, r in zip(starts, evidence.running, strict=True))
    return ranks, p95, p99


def _of_stable(evidence: LatencyEvidence, stable: Buckets) -> LatencyEvidence:
    requests = sum(stable)
    if not requests:
        return evidence
    sums = RankSums(requests, _sum(histogram.scored(stable, histogram.scores(evidence.reference))))
    tails = [Pair(requests, histogram.tail(stable, cut)) for cut in (evidence.cut95, evidence.cut99)]
    return replace(evidence, running=_run_on(evidence, sums, tails), seen=evidence.seen + sums)


def _run_on(
    evidence: LatencyEvidence, sums: RankSums, tails: Sequence[Pair]
) -> tuple[Running, Running, Running]:
    ranks, *rates = evidence.running
    whole = sum(evidence.reference)
    p95, p99 = (
        dispersion.with_rate(
            running, now.stable, now.stable_bad, histogram.tail(evidence.reference, cut) / whole
        )
        for running, now, cut in zip(rates, tails, (evidence.cut95, evidence.cut99), strict=True)
    )
    return dispersion.with_ranks(ranks, sums.stable, sums.stable_sum / sums.stable), p95, p99


def _unlinked(evidence: LatencyEvidence) -> tuple[Running, Running, Running]:
    """Another weight is another load: its first block is not compared with the last one before."""
    ranks, p95, p99 = (replace(running, last_n=0) for running in evidence.running)
    return ranks, p95, p99


def _tail(metric: LatencyMetric, logs: Logs, now: Pair, phi: Dispersion) -> Logs:
    tolerance = factors.Tolerance(metric.tail_ratio, metric.tail_add)
    return tuple(
        log
        + factors.count_log(
            now.candidate, now.stable, now.candidate_bad, now.stable_bad, arm, tolerance, phi.phi
        )
        for arm, log in zip(factors.COUNT_ARMS, logs, strict=True)
    )


def _bets(
    metric: LatencyMetric,
    evidence: LatencyEvidence,
    scored: tuple[tuple[tuple[float, int], ...], tuple[tuple[float, int], ...]],
    sums: RankSums,
    phi: Dispersion,
) -> LatencyEvidence:
    """Bets on mid-ranks: against a breach, and (with the sign turned) for non-inferiority."""
    expect = (evidence.seen.stable_sum + _EQUAL) / (evidence.seen.stable + 1.0)
    odds = sums.candidate / sums.stable

    def gain(want: float, margin: float, sign: int) -> float:
        bet = factors.rank_bet(sums.candidate, sums.stable, expect, want, margin)
        if bet.stake * sign <= 0.0:
            return 0.0
        return factors.betting_log(scored[1], scored[0], bet, odds, phi.phi)

    tolerated = metric.slower - _EQUAL
    allowed = (metric.promote_slower or 0.0) - _EQUAL
    return replace(
        evidence,
        ranks=tuple(
            log + gain(expect + tolerated + arm, tolerated, 1)
            for log, arm in zip(evidence.ranks, factors.RANK_ARMS, strict=True)
        ),
        promote=tuple(
            log + gain(expect + allowed - allowed * part, allowed, -1)
            for log, part in zip(evidence.promote, _wanted(metric), strict=True)
        ),
    )


def _shifted(metric: LatencyMetric, evidence: LatencyEvidence) -> LatencyEvidence:
    """The sign test, once its block is long enough and has enough requests of both tracks."""
    now = evidence.pending
    if min(now.stable, now.candidate) < _SHIFT_REQUESTS or evidence.pending_s < 0.9 * evidence.block_s:
        return evidence
    z = factors.shift_z(now.candidate, now.candidate_sum, now.stable, now.stable_sum, metric.slower - _EQUAL)
    scale = math.sqrt((_SHIFT_WEIGHT + evidence.squares) / (_SHIFT_WEIGHT + evidence.blocks))
    return replace(
        evidence,
        shift=tuple(
            log + factors.shift_log(z, scale, arm)
            for log, arm in zip(evidence.shift, factors.SHIFT_ARMS, strict=True)
        ),
        squares=evidence.squares + z * z,
        blocks=evidence.blocks + 1,
        pending=RankSums(),
        pending_s=0.0,
    )


def _sum(scored: Sequence[tuple[float, int]]) -> float:
    return sum(score * n for score, n in scored)


def _wanted(metric: LatencyMetric) -> tuple[float, ...]:
    return () if metric.promote_slower is None else (0.5, 1.0, 1.5)


def _paid(config: EvidenceConfig, evidence: LatencyEvidence, money: int) -> LatencyEvidence:
    if not money:
        return evidence
    limit = config.max_duration_s
    return replace(
        evidence,
        shift=wealth.place_money(evidence.shift, money, limit),
        ranks=wealth.place_money(evidence.ranks, money, limit),
        p95=wealth.place_money(evidence.p95, money, limit),
        p99=wealth.place_money(evidence.p99, money, limit),
    )


def _frozen(evidence: LatencyEvidence, reference: Buckets) -> LatencyEvidence:
    return replace(
        evidence,
        reference=reference,
        collecting=(),
        cut95=histogram.tail_cut(reference, 0.05),
        cut99=histogram.tail_cut(reference, 0.01),
    )


def _recent(history: Sequence[HistoryRow]) -> Buckets:
    """The newest rows that make five minutes and enough requests for stable edges; all rows if there are fewer."""
    total: Buckets = ()
    for count, row in enumerate(reversed(history)):
        if count >= _SEED_ROWS and sum(total) >= _HISTORY_REQUESTS:
            break
        total = histogram.add(total, row.latency)
    return total


def _with_history(
    config: EvidenceConfig, evidence: LatencyEvidence, history: Sequence[HistoryRow]
) -> LatencyEvidence:
    """phi of ranks and tails, the block length of the sign test, and what the bets expect of stable."""
    by = histogram.scores(evidence.reference)
    ranks = [(sum(row.latency), _sum(histogram.scored(row.latency, by))) for row in history]

    def tail_phi(cut: int) -> Dispersion:
        rows = [(sum(row.latency), histogram.tail(row.latency, cut)) for row in history]
        return dispersion.combined(dispersion.of_rates(rows), config.batch_limit, config.dispersion)

    recent = ranks[-_SEED_ROWS:]
    return replace(
        evidence,
        phi_ranks=dispersion.combined(dispersion.of_ranks(ranks), config.batch_limit, config.dispersion),
        phi_p95=tail_phi(evidence.cut95),
        phi_p99=tail_phi(evidence.cut99),
        block_s=_ROW_S * dispersion.shift_rows(ranks),
        seen=RankSums(sum(n for n, _ in recent), sum(s for _, s in recent)),
    )
