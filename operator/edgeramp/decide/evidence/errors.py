"""The failure-rate metric: count test against a breach, bets for non-inferiority, interval of the ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from edgeramp.decide.evidence import dispersion, factors, wealth
from edgeramp.decide.evidence.blocks import Block, HistoryRow
from edgeramp.decide.evidence.config import ErrorsMetric, EvidenceConfig
from edgeramp.decide.evidence.state import ErrorsEvidence, Logs, Pair, Promotion

RATIOS = tuple(2.0 ** (-4.0 + i / 8.0) for i in range(81))
"""Ratios candidate/stable that the interval is made of: 1/16 to 64, evenly in logs."""
_INTERVAL_MISS = 100.0
_SEED_ROWS = 60
_PROMOTE_ARMS = 3


def initial(config: EvidenceConfig, metric: ErrorsMetric, history: Sequence[HistoryRow]) -> ErrorsEvidence:
    """No evidence yet; phi and the expected rate from stable's history."""
    measured = dispersion.of_rates([(row.requests, row.bad) for row in history])
    recent = history[-_SEED_ROWS:]
    return ErrorsEvidence(
        phi=dispersion.combined(measured, config.batch_limit, config.dispersion),
        seen=(sum(row.requests for row in recent), sum(row.bad for row in recent)),
        wealth=wealth.first_money(len(factors.COUNT_ARMS)),
        interval=(0.0,) * len(RATIOS),
        promote=no_promotion(config, metric),
    )


def no_promotion(config: EvidenceConfig, metric: ErrorsMetric) -> tuple[Promotion, ...]:
    """Nothing proven yet, for each weight that the ramp may go to."""
    targets = sorted({*config.weights, 100}) if metric.user_budget is not None else []
    return tuple(Promotion(target, wealth.equal_money(_PROMOTE_ARMS), 0.0) for target in targets)


def log_proof(evidence: ErrorsEvidence, next_weight: int) -> float | None:
    """Log evidence that the candidate is fit for `next_weight`: -log(falsePromotion) decides. None: not asked.

    All of the ramp counts, but half of what is needed (in logs) has to come from the present weight: a candidate
    that was fine at 5 % and fails under the load of 50 % is not carried on by what it earned before.
    """
    for promotion in evidence.promote:
        if promotion.target >= next_weight:
            total = wealth.log_sum_exp(promotion.logs)
            return min(total, 2.0 * (total - promotion.before))
    return None


def enter_weight(evidence: ErrorsEvidence) -> ErrorsEvidence:
    """Counts that wait for the other track are of another split; what is proven here counts from here."""
    return replace(
        evidence,
        pending=Pair(),
        at_weight=Pair(),
        promote=tuple(replace(p, before=wealth.log_sum_exp(p.logs)) for p in evidence.promote),
    )


def advance(
    config: EvidenceConfig, metric: ErrorsMetric, evidence: ErrorsEvidence, block: Block, money: int
) -> ErrorsEvidence:
    """The evidence after one block; `money` is how many minutes of late money to place before it."""
    have = wealth.place_money(evidence.wealth, money, config.max_duration_s)
    now = evidence.pending + pair_of(block)
    if now.candidate == 0 or now.stable == 0:
        return replace(evidence, wealth=have, pending=now)
    return replace(
        evidence,
        wealth=_count(metric, evidence, have, now),
        interval=_interval(evidence, now),
        promote=_promote(metric, evidence, now),
        seen=(evidence.seen[0] + now.stable, evidence.seen[1] + now.stable_bad),
        pending=Pair(),
        total=evidence.total + now,
        at_weight=evidence.at_weight + now,
    )


def pair_of(block: Block) -> Pair:
    """Both tracks' requests and failures; a failure without its request (read in between) brings one along."""
    stable, candidate = block.stable, block.candidate
    return Pair(
        max(stable.requests, stable.bad), stable.bad, max(candidate.requests, candidate.bad), candidate.bad
    )


WIDEST_MARGIN = 0.5  # proving less implies the rest, and a bet on a margin of 1 could never win


def margin(metric: ErrorsMetric, target: int) -> float:
    """How many more errors than stable the candidate may add if it is to get `target` per cent."""
    return min((metric.user_budget or 0.0) * 100.0 / target, WIDEST_MARGIN)


def ratio_interval(evidence: ErrorsEvidence) -> tuple[float | None, float | None]:
    """99 % always-valid interval of candidate/stable; None where the grid ends before the evidence does."""
    if not any(evidence.interval):
        return None, None
    mixture = wealth.log_sum_exp(evidence.interval) - math.log(len(RATIOS))
    kept = [i for i, log in enumerate(evidence.interval) if mixture - log < math.log(_INTERVAL_MISS)]
    low = RATIOS[kept[0]] if kept[0] > 0 else None
    high = RATIOS[kept[-1]] if kept[-1] < len(RATIOS) - 1 else None
    return low, high


def expected_rate(seen: tuple[int, int]) -> float:
    """What bets expect of stable: its past share of failures, pulled a little towards 1 in 1,000."""
    return (seen[1] + 0.5) / (seen[0] + 500.0)


def _count(metric: ErrorsMetric, evidence: ErrorsEvidence, have: Logs, now: Pair) -> Logs:
    tolerance = factors.Tolerance(metric.ratio, metric.add)
    return tuple(
        log
        + factors.count_log(
            now.candidate, now.stable, now.candidate_bad, now.stable_bad, arm, tolerance, evidence.phi.phi
        )
        for arm, log in zip(factors.COUNT_ARMS, have, strict=True)
    )


def _interval(evidence: ErrorsEvidence, now: Pair) -> Logs:
    if not now.candidate_bad and not now.stable_bad:
        return evidence.interval
    odds = now.candidate / now.stable
    out = []
    for ratio, log in zip(RATIOS, evidence.interval, strict=True):
        x = ratio * odds
        gain = now.candidate_bad * math.log(x) - (now.candidate_bad + now.stable_bad) * math.log1p(x)
        out.append(log + gain / evidence.phi.phi)
    return tuple(out)


def _promote(metric: ErrorsMetric, evidence: ErrorsEvidence, now: Pair) -> tuple[Promotion, ...]:
    expect = expected_rate(evidence.seen)
    candidate = ((1.0, now.candidate_bad), (0.0, now.candidate - now.candidate_bad))
    stable = ((1.0, now.stable_bad), (0.0, now.stable - now.stable_bad))
    odds = now.candidate / now.stable

    def gain(want: float, allowed: float) -> float:
        bet = factors.rate_bet(now.candidate, now.stable, expect, want, factors.Tolerance(1.0, allowed))
        if bet.stake >= 0.0:
            return 0.0
        return factors.betting_log(candidate, stable, bet, odds, evidence.phi.phi)

    out = []
    for promotion in evidence.promote:
        allowed = margin(metric, promotion.target)
        wanted = (expect / 2.0, expect, expect + allowed / 2.0)
        logs = tuple(log + gain(want, allowed) for log, want in zip(promotion.logs, wanted, strict=True))
        out.append(replace(promotion, logs=logs))
    return tuple(out)
