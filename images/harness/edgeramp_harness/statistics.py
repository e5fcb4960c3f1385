"""Bounds. Everything takes a seed, so that a report can be computed again from the scores it names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
RESAMPLES = 9999
BOOTSTRAP_BELOW = 2000


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
    """`retention` is sum(c)/sum(b), `margin` the mean of c - R0*b."""

    retention: Interval
    margin: Interval
    items_needed: int | None
    method: str


def paired_quality(
    reference: Floats,
    candidate: Floats,
    gate: float,
    confidence: float,
    seed: int,
    cluster: NDArray[np.int64] | None = None,
) -> PairedQuality:
    """Retention and margin with bounds, from paired scores. BCa bootstrap below 2,000 units, else normal.

    A bootstrap of a sample without a single loss sees no risk at all; there an exact binomial bound on the unseen loss
    rate (the rule of three) takes its place. Source of the margin form: optimization.md, Gates.
    """
    b, c, size = _units(reference, candidate, cluster)
    margin_point = float((c.sum() - gate * b.sum()) / size.sum())
    retention_point = float(c.sum() / b.sum()) if b.sum() > 0 else math.nan
    if len(b) < BOOTSTRAP_BELOW:
        method = "BCa bootstrap" + (" by cluster" if cluster is not None else "")
        retention, margin = _bca(b, c, size, gate, confidence, seed)
    else:
        method = "normal" + (" by cluster" if cluster is not None else "")
        retention, margin = _normal(b, c, size, gate, confidence)
    if not (c < b).any():
        unseen = 1 - (1 - confidence) ** (1 / len(b))
        scale = float(b.mean()) if b.mean() > 0 else 1.0
        margin = (min(margin[0], margin_point - unseen), margin[1])
        retention = (min(retention[0], retention_point - unseen / scale), retention[1])
        method += ", exact for unseen losses"
    return PairedQuality(
        Interval(retention_point, *retention),
        Interval(margin_point, *margin),
        _items_needed(reference, candidate, gate, confidence),
        method,
    )


def _units(b: Floats, c: Floats, cluster: NDArray[np.int64] | None) -> tuple[Floats, Floats, Floats]:
    """Sums per resampling unit: items, or clusters of items."""
    if cluster is None:
        return b, c, np.ones_like(b)
    _, index = np.unique(cluster, return_inverse=True)
    return _sums(index, b), _sums(index, c), _sums(index, np.ones_like(b))


def _sums(index: NDArray[np.intp], values: Floats) -> Floats:
    return np.bincount(index, values).astype(np.float64)


Pair = tuple[float, float]


def _bca(b: Floats, c: Floats, size: Floats, gate: float, confidence: float, seed: int) -> tuple[Pair, Pair]:
    """Bias-corrected and accelerated bounds of both statistics from the same resamples (Efron 1987)."""
    rows, counts = np.unique(np.stack([b, c, size], axis=1), axis=0, return_counts=True)
    n = len(b)
    weights = np.random.default_rng(seed).multinomial(n, counts / n, size=RESAMPLES).astype(np.float64)
    sums = weights @ rows
    total = np.array([b.sum(), c.sum(), size.sum()])
    jack = total - rows  # leave one unit out, once per distinct row

    def retention(s: Floats) -> Floats:
        return np.divide(s[:, 1], s[:, 0], out=np.zeros(len(s)), where=s[:, 0] > 0)

    def margin(s: Floats) -> Floats:
        return (s[:, 1] - gate * s[:, 0]) / np.maximum(s[:, 2], 1)

    bounds = []
    for statistic in (retention, margin):
        point = float(statistic(total[None, :])[0])
        bounds.append(_bca_bounds(statistic(sums), point, statistic(jack), counts, confidence))
    return bounds[0], bounds[1]


def _bca_bounds(boot: Floats, point: float, jack: Floats, counts: NDArray[Any], confidence: float) -> Pair:
    share = (np.mean(boot < point) + np.mean(boot <= point)) / 2
    if share <= 0 or share >= 1 or np.ptp(boot) == 0:
        return float(np.quantile(boot, 1 - confidence)), float(np.quantile(boot, confidence))
    z0 = special.ndtri(share)
    deviation = np.average(jack, weights=counts) - jack
    spread = float((counts * deviation**2).sum())
    acceleration = float((counts * deviation**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0

    def quantile(level: float) -> float:
        z = z0 + special.ndtri(level)
        return float(np.quantile(boot, special.ndtr(z0 + z / (1 - acceleration * z))))

    return quantile(1 - confidence), quantile(confidence)


def _normal(b: Floats, c: Floats, size: Floats, gate: float, confidence: float) -> tuple[Pair, Pair]:
    """Ratio estimators by linearization; for single items the textbook normal bound."""
    z, n = float(special.ndtri(confidence)), len(b)
    margin = (c.sum() - gate * b.sum()) / size.sum()
    se = float(np.std(c - gate * b - margin * size, ddof=1)) / math.sqrt(n) / float(size.mean())
    ratio = c.sum() / b.sum()
    se_ratio = float(np.std(c - ratio * b, ddof=1)) / math.sqrt(n) / float(b.mean())
    return (
        (float(ratio - z * se_ratio), float(ratio + z * se_ratio)),
        (float(margin - z * se), float(margin + z * se)),
    )


def _items_needed(b: Floats, c: Floats, gate: float, confidence: float) -> int | None:
    """Items for 80 % power if the effect is the one observed; None where no number of items would pass."""
    z = c - gate * b
    mean = float(z.mean())
    if mean <= 0:
        return None
    needed = float(((special.ndtri(confidence) + special.ndtri(0.8)) * float(z.std()) / mean) ** 2)
    lossless = math.ceil(math.log(1 - confidence) / math.log1p(-min(mean, 0.999999)))
    return max(math.ceil(needed), lossless if not (c < b).any() else 1)


def speedup(reference: list[Floats], candidate: list[Floats], confidence: float, seed: int) -> Interval:
    """Ratio of block medians, reference / candidate: bootstrap over rounds, and over processes where there are several.

    `reference[p]` and `candidate[p]` are [rounds, blocks per round] of block medians in process pair p.
    """
    rng = np.random.default_rng(seed)
    ratios = np.empty(1999)
    for k in range(len(ratios)):
        parts = (
            range(len(reference))
            if len(reference) == 1
            else rng.integers(len(reference), size=len(reference))
        )
        picks = [(p, rng.integers(len(reference[p]), size=len(reference[p]))) for p in parts]
        top = np.median(np.concatenate([reference[p][rows].ravel() for p, rows in picks]))
        bottom = np.median(np.concatenate([candidate[p][rows].ravel() for p, rows in picks]))
        ratios[k] = top / bottom
    point = np.median(np.concatenate([r.ravel() for r in reference])) / np.median(
        np.concatenate([c.ravel() for c in candidate])
    )
    return Interval(
        float(point), float(np.quantile(ratios, 1 - confidence)), float(np.quantile(ratios, confidence))
    )


def variation(blocks: Floats, confidence: float, seed: int) -> Interval:
    """Coefficient of variation of block medians with bootstrap bounds."""
    rng = np.random.default_rng(seed)
    samples = blocks[rng.integers(len(blocks), size=(RESAMPLES, len(blocks)))]
    values = samples.std(axis=1, ddof=1) / samples.mean(axis=1)
    point = float(blocks.std(ddof=1) / blocks.mean())
    return Interval(point, float(np.quantile(values, 1 - confidence)), float(np.quantile(values, confidence)))


def runs_needed(quantile: float, confidence: float) -> int:
    """Runs before the largest is an upper bound of the quantile: 459 for p99 at 99 %, 299 at 95 %."""
    return math.ceil(math.log(1 - confidence) / math.log(quantile))


def percentile(times: Floats, quantile: float, confidence: float) -> float | None:
    """The quantile, or None when there are too few runs to bound it; never the maximum in disguise."""
    return float(np.quantile(times, quantile)) if len(times) >= runs_needed(quantile, confidence) else None


def drift(reference: Floats, candidate: Floats) -> float:
    """Relative change of the per-round ratio from the first third to the last; 0 unless beyond two standard errors.

    ABBA cancels what both runners feel; what would bias the ratio is one of them changing.
    """
    ratio = np.log(np.median(reference, axis=1) / np.median(candidate, axis=1))
    third = len(ratio) // 3
    if third < 3:
        return 0.0
    first, last = ratio[:third], ratio[-third:]
    change = float(np.median(last) - np.median(first))
    noise = 1.2533 * math.sqrt((first.var(ddof=1) + last.var(ddof=1)) / third)
    return abs(math.expm1(change)) if abs(change) > 2 * noise else 0.0
