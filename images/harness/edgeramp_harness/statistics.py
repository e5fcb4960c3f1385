"""Bounds. What draws takes a seed, so that a report can be computed again from its scores. Coverage: make bench-gates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from edgeramp.values.power import Margin, items_needed

Floats = NDArray[np.float64]
Extremes = tuple[tuple[float, float], tuple[float, float]]
"""Score of the reference and of the candidate on the worst and on the best item."""
DRAWS = 39_999
_AT_ONCE = 64


@dataclass(frozen=True)
class Interval:
    """A point with one-sided bounds, each at the same confidence."""

    point: float
    lower: float
    upper: float

    @property
    def half_width(self) -> float:
        """Relative to the point."""
        return (self.upper - self.lower) / 2 / abs(self.point) if self.point else math.inf


@dataclass(frozen=True)
class PairedQuality:
    """`retention` is sum(c)/sum(b), `margin` the mean of c - R0*b; `items_needed` to decide a margin like this; `p_below` is the
    p-value of "the margin is not below 0", so that the upper bound at 1 - p is 0."""

    retention: Interval
    margin: Interval
    items_needed: int | None
    p_below: float
    method: str


def paired_quality(
    reference: Floats,
    candidate: Floats,
    gate: float,
    confidence: float,
    seed: int,
    cluster: NDArray[np.int64] | None = None,
    extremes: Extremes = ((1.0, 0.0), (0.0, 1.0)),
) -> PairedQuality:
    """Retention and margin with bounds, from paired scores; `extremes` are the worst and the best item there can be.

    Gaffke's bound: the sample gets one item more, the worst that there can be (right before, wrong now), and every item a
    random weight, exponential with mean 1; the lower bound is the quantile of what then comes out. For 0/1 scores of one
    side alone this is the exact binomial bound (Clopper and Pearson); the rule of three is its case without losses. The upper
    bound gets the best item instead. Both statistics use the same weights, so retention and margin always agree.
    Source: N. Gaffke, Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable,
    2005; M. Phan, P. Thomas, E. Learned-Miller, Towards practical mean bounds for small samples, ICML 2021.
    Why not BCa: docs/adr/0015-bounds.md.
    """
    b, c, size = _units(reference, candidate, cluster)
    rows, counts = np.unique(np.stack([b, c, size], axis=1), axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    sums = _weighted(rng, rows, counts)
    one_more = rng.standard_exponential(DRAWS)[:, None]
    worst, best = (np.array([*pair, 1.0]) for pair in extremes)
    low, high = (sums + one_more * item * float(size.mean()) for item in (worst, best))

    def retention(s: Floats) -> Floats:
        return np.asarray(s[:, 1] / s[:, 0])

    def margin(s: Floats) -> Floats:
        return np.asarray((s[:, 1] - gate * s[:, 0]) / s[:, 2])

    total = np.array([[b.sum(), c.sum(), size.sum()]])
    retained, kept = (
        Interval(
            float(statistic(total)[0]) if total[0, 0] > 0 else math.nan,
            float(np.quantile(statistic(low), 1 - confidence)),
            float(np.quantile(statistic(high), confidence)),
        )
        for statistic in (retention, margin)
    )
    p_below = (1.0 + float((margin(high) >= 0).sum())) / (DRAWS + 1)
    z = candidate - gate * reference
    moments = Margin(*(float((z**k).mean()) for k in (1, 2, 3)))
    needed = items_needed(moments, float(worst[1] - gate * worst[0]), 1 - confidence)
    method = "Gaffke" + (" by cluster" if cluster is not None else "")
    return PairedQuality(retained, kept, needed, p_below, method)


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Which hypotheses are refused, with the whole of them wrong about any in at most `alpha`.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979.
    """
    refused = [False] * len(p_values)
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[index] > alpha / (len(p_values) - rank):
            break
        refused[index] = True
    return refused


def _units(b: Floats, c: Floats, cluster: NDArray[np.int64] | None) -> tuple[Floats, Floats, Floats]:
    """Sums per unit: items, or clusters of items."""
    if cluster is None:
        return b, c, np.ones_like(b)
    _, index = np.unique(cluster, return_inverse=True)
    return _sums(index, b), _sums(index, c), _sums(index, np.ones_like(b))


def _sums(index: NDArray[np.intp], values: Floats) -> Floats:
    return np.bincount(index, values).astype(np.float64)


def _weighted(rng: np.random.Generator, rows: Floats, counts: NDArray[np.intp]) -> Floats:
    """[DRAWS, columns]: sums of `rows`, each with as many exponential weights as it occurs."""
    sums = np.zeros((DRAWS, rows.shape[1]))
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        sums += rng.standard_gamma(counts[part], size=(DRAWS, len(rows[part]))) @ rows[part]
    return sums


def speedup(reference: list[Floats], candidate: list[Floats], confidence: float, seed: int) -> Interval:
    """Ratio of block medians, reference / candidate. `reference[p]` and `candidate[p]` are [rounds, blocks per round] of block
    medians in process pair p.

    Several pairs: the geometric mean of their ratios, with Student's t on logarithms, since what differs from one start of a
    process to the next is not seen within one. Source: T. Kalibera, R. Jones, Rigorous benchmarking in reasonable time, ISMM
    2013: repetition at the highest level that varies. One pair: bootstrap over its rounds, for which nothing else varies.
    """
    if len(reference) == 1:
        return _resampled(reference[0], candidate[0], confidence, seed)
    logs = np.log(
        [float(np.median(r)) / float(np.median(c)) for r, c in zip(reference, candidate, strict=True)]
    )
    middle, reach = float(logs.mean()), float(stats.t.ppf(confidence, len(logs) - 1)) * float(stats.sem(logs))
    return Interval(*(math.exp(v) for v in (middle, middle - reach, middle + reach)))


def _resampled(reference: Floats, candidate: Floats, confidence: float, seed: int) -> Interval:
    rng = np.random.default_rng(seed)
    ratios = np.empty(1999)
    for k in range(len(ratios)):
        rows = rng.integers(len(reference), size=len(reference))
        ratios[k] = np.median(reference[rows]) / np.median(candidate[rows])
    point = float(np.median(reference) / np.median(candidate))
    return Interval(point, float(np.quantile(ratios, 1 - confidence)), float(np.quantile(ratios, confidence)))


def within(blocks: list[Floats]) -> Floats:
    """Block medians of several processes as those of one: what differs between processes is taken out, and the spread scaled
    for the degrees of freedom that this costs."""
    flat = [b.ravel() for b in blocks]
    centre, n = float(np.mean([b.mean() for b in flat])), sum(len(b) for b in flat)
    scale = math.sqrt((n - 1) / max(1, n - len(flat)))
    return np.concatenate([centre * (1 + scale * (b / b.mean() - 1)) for b in flat])


def variation(blocks: Floats, confidence: float) -> Interval:
    """Coefficient of variation of block medians, with bounds that hold for skewed and heavy-tailed times too.

    Source: D. G. Bonett, Approximate confidence interval for standard deviation of nonnormal distributions, Computational
    Statistics & Data Analysis 50, 2006: normal in ln(s^2), its width from the kurtosis about a trimmed mean. From few blocks
    the kurtosis comes out too low, so the upper bound is taken at a fifth of the error probability. Fewer than ten blocks tell
    nothing about a kurtosis: there the times are taken as normal (chi-squared).
    """
    n = len(blocks)
    squares = float(((blocks - blocks.mean()) ** 2).sum())
    point = float(blocks.std(ddof=1) / blocks.mean())
    strict = 1 - (1 - confidence) / 5
    if n < 10:
        low, high = (point * math.sqrt((n - 1) / stats.chi2.ppf(q, n - 1)) for q in (confidence, 1 - strict))
        return Interval(point, low, high)
    trimmed = float(stats.trim_mean(blocks, 1 / (2 * math.sqrt(n - 4))))
    kurtosis = n * float(((blocks - trimmed) ** 4).sum()) / squares**2 if squares else 0.0
    spread = math.sqrt(max(0.0, kurtosis - (n - 3) / n) / (n - 1))

    def bound(level: float) -> float:
        z = float(special.ndtri(level))
        scale = n / (n - abs(z))
        return point * math.sqrt(scale * math.exp(z * scale * spread))

    return Interval(point, bound(1 - confidence), bound(strict))


def saved(reference: Floats, candidate: Floats, confidence: float) -> Interval | None:
    """Share of memory saved, from fresh processes of each side: Welch's t on logarithms. None where fewer than two
    processes, or one that did not grow, leave no bound."""
    if min(len(reference), len(candidate)) < 2 or min(reference.min(), candidate.min()) <= 0:
        return None
    after, before = np.log(candidate), np.log(reference)
    low = high = point = float(after.mean() - before.mean())
    if np.ptp(reference) or np.ptp(candidate):
        found = stats.ttest_ind(after, before, equal_var=False).confidence_interval(2 * confidence - 1)
        low, high = found.low, found.high
    return Interval(*(float(-np.expm1(v)) for v in (point, high, low)))


def runs_needed(quantile: float, confidence: float) -> int:
    """Runs before the largest is an upper bound of the quantile: 459 for p99 at 99 %, 299 at 95 %."""
    return math.ceil(math.log(1 - confidence) / math.log(quantile))


def percentile(times: Floats, quantile: float, confidence: float) -> float | None:
    """The quantile, or None when there are too few runs to bound it; never the maximum in disguise."""
    return float(np.quantile(times, quantile)) if len(times) >= runs_needed(quantile, confidence) else None


def drift(reference: list[Floats], candidate: list[Floats]) -> float:
    """Relative change of the per-round ratio from the first third to the last, on average over process pairs; 0 unless beyond
    two standard errors.

    ABBA cancels what both runners feel; what would bias the ratio is one of them changing.
    """
    changes, squares = [], 0.0
    for before, after in zip(reference, candidate, strict=True):
        ratio = np.log(np.median(before, axis=1) / np.median(after, axis=1))
        third = len(ratio) // 3
        if third < 3:
            continue
        first, last = ratio[:third], ratio[-third:]
        changes.append(float(np.median(last) - np.median(first)))
        squares += 1.2533**2 * (first.var(ddof=1) + last.var(ddof=1)) / third
    if not changes:
        return 0.0
    change, noise = float(np.mean(changes)), math.sqrt(squares) / len(changes)
    return abs(math.expm1(change)) if abs(change) > 2 * noise else 0.0
