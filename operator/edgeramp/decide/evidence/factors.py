"""One block, one arm: by how much a bet multiplies its wealth, as a natural log.

Every function here has expectation at most 1 (of the factor, not its log) when the candidate is within tolerance,
provided that what it takes besides the block's counts was fixed before the block was read. Sources: Turner, Ly,
Grünwald 2106.02693 (count), Waudby-Smith, Ramdas 2010.09686 (betting).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

COUNT_ARMS = (1.1, 1.3, 1.6, 2.0, 3.0, 5.0, 8.0, 14.0, 40.0, 200.0)
SHIFT_ARMS = (0.15, 0.3, 0.6, 1.2, 2.5, 6.0)
RANK_ARMS = (0.03, 0.06, 0.1, 0.15, 0.22, 0.3, 0.4)
MEAN_ARMS = (0.03, 0.07, 0.15, 0.3, 0.5, 0.75, 0.97)
RANK_VARIANCE = 1.0 / 12.0
_MOST = 0.98


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Harmless means pC <= ratio * pS + add."""

    ratio: float
    add: float


@dataclass(frozen=True, slots=True)
class Bet:
    """Centres of both tracks and the stake per unit of score; all fixed before the block is read."""

    centre_stable: float
    centre_candidate: float
    stake: float


def split(candidate: int, stable: int, ratio: float) -> float:
    """The share of bad requests that falls on the candidate when its rate is `ratio` times stable's."""
    return ratio * candidate / (ratio * candidate + stable)


def count_log(
    candidate: int,
    stable: int,
    candidate_bad: int,
    stable_bad: int,
    multiple: float,
    tolerance: Tolerance,
    phi: float,
) -> float:
    """Test of two rates against `multiple` times the tolerated ratio. Both tracks need at least one request."""
    t0 = split(candidate, stable, tolerance.ratio)
    t1 = split(candidate, stable, tolerance.ratio * multiple)
    a = t1 / t0
    b = (1.0 - t1) / (1.0 - t0)
    gain = candidate_bad * math.log(a) + stable_bad * math.log(b)
    return (gain - candidate * tolerance.add * (a - 1.0)) / phi


def shift_z(candidate: int, candidate_sum: float, stable: int, stable_sum: float, tolerated: float) -> float:
    """Standardised difference of mean mid-ranks, above what is tolerated."""
    difference = candidate_sum / candidate - stable_sum / stable - tolerated
    return difference / math.sqrt((1.0 / candidate + 1.0 / stable) * RANK_VARIANCE)


def shift_log(z: float, scale: float, arm: float) -> float:
    """Bet on the sign of z, bounded whatever its size. `scale` is the typical size of past z."""
    return math.log1p((1.0 - 1e-12) * math.tanh(arm * z / scale))


def mean_log(share: float, tolerated: float, arm: float) -> float:
    """One-sample test that a block's share of bad is at most `tolerated`."""
    return math.log1p(arm / tolerated * (share - tolerated))


def rate_bet(
    candidate: int,
    stable: int,
    expect_stable: float,
    want_candidate: float,
    tolerance: Tolerance,
) -> Bet:
    """Bet on 0/1 scores. A candidate wanted below its centre bets on non-inferiority (stake below 0)."""
    weight = stable + tolerance.ratio * candidate
    quad = weight * tolerance.ratio
    linear = weight * tolerance.add - tolerance.ratio * (expect_stable * stable + want_candidate * candidate)
    centre = _positive_root(quad, linear, -expect_stable * stable * tolerance.add)
    bound = tolerance.ratio * centre + tolerance.add
    variance = bound * (1.0 - bound)
    return _bet(candidate, stable, centre, bound, want_candidate, variance, tolerance.ratio)


def rank_bet(candidate: int, stable: int, expect_stable: float, want_candidate: float, margin: float) -> Bet:
    """Bet on mid-rank scores, where harmless means mean C <= mean S + margin."""
    w = candidate / (candidate + stable)
    centre = (1.0 - w) * expect_stable + w * (want_candidate - margin)
    return _bet(candidate, stable, centre, centre + margin, want_candidate, RANK_VARIANCE, 1.0)


def betting_log(
    candidate_scores: Iterable[tuple[float, int]],
    stable_scores: Iterable[tuple[float, int]],
    bet: Bet,
    odds: float,
    phi: float,
) -> float:
    """Log factor of a bet; scores come as (score, how many). `odds` is ratio * nC / nS of the same block."""
    log = sum(n * math.log1p(bet.stake * (x - bet.centre_candidate)) for x, n in candidate_scores)
    against = bet.stake * odds
    log += sum(n * math.log1p(-against * (y - bet.centre_stable)) for y, n in stable_scores)
    return log / phi


def _bet(
    candidate: int, stable: int, centre: float, bound: float, want: float, variance: float, ratio: float
) -> Bet:
    if not (0.0 < centre < 1.0 and 0.0 < bound < 1.0):
        return Bet(0.5, 0.5, 0.0)
    odds = ratio * candidate / stable
    stake = (want - bound) / variance
    if stake >= 0:
        stake = min(stake, _MOST * min(1.0 / bound, 1.0 / (odds * (1.0 - centre))))
    else:
        stake = max(stake, -_MOST * min(1.0 / (1.0 - bound), 1.0 / (odds * centre)))
    return Bet(centre, bound, stake)


def _positive_root(quad: float, linear: float, constant: float) -> float:
    """The root >= 0 of quad*s^2 + linear*s + constant with quad > 0 and constant <= 0, without cancellation."""
    root = math.sqrt(max(0.0, linear * linear - 4.0 * quad * constant))
    if linear > 0:
        return -2.0 * constant / (linear + root)
    return (root - linear) / (2.0 * quad)
