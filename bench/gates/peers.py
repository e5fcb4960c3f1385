"""The bounds that other tools and textbooks use, on the same 0/1 scores: lower bounds of mean(c - R0 x b)."""

from __future__ import annotations

import numpy as np
from scipy import special

from edgeramp_harness.statistics import Floats

RESAMPLES = 9999


def point(b: Floats, c: Floats, gate: float, _confidence: float) -> float:
    """No bound at all: the figure itself, as Olive, NNCF and most pipelines compare it."""
    return float((c - gate * b).mean())


def normal(b: Floats, c: Floats, gate: float, confidence: float) -> float:
    """Mean less z standard errors (Wald)."""
    z = c - gate * b
    return float(z.mean() - special.ndtri(confidence) * z.std(ddof=1) / np.sqrt(len(z)))


def bca(b: Floats, c: Floats, gate: float, confidence: float) -> float:
    """Bias-corrected and accelerated bootstrap (Efron 1987)."""
    values, counts = np.unique(c - gate * b, return_counts=True)
    n = len(b)
    weights = np.random.default_rng(1).multinomial(n, counts / n, size=RESAMPLES)
    boot = weights @ values / n
    mean = float((c - gate * b).mean())
    share = (np.mean(boot < mean) + np.mean(boot <= mean)) / 2
    if share <= 0 or share >= 1 or np.ptp(boot) == 0:
        return float(np.quantile(boot, 1 - confidence))
    z0 = special.ndtri(share)
    deviation = values - mean
    spread = float((counts * deviation**2).sum())
    skewed = float((counts * deviation**3).sum()) / (6 * spread**1.5)
    z = z0 + special.ndtri(1 - confidence)
    return float(np.quantile(boot, special.ndtr(z0 + z / (1 - skewed * z))))


PEERS = {"BCa": bca, "normal": normal, "point": point}
