"""How many items a bound needs: told before anything is measured, and after a measurement that could not decide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

POWER = 0.80
_MOST = 10**12


@dataclass(frozen=True)
class Margin:
    """One item's margin z = c - R0 x b as it is expected to be: mean, and the raw moments of second and third order."""

    mean: float
    square: float
    cube: float

    @property
    def variance(self) -> float:
        return max(0.0, self.square - self.mean**2)


def items_needed(margin: Margin, worst: float, alpha: float, power: float = POWER) -> int | None:
    """Fewest items at which the lower bound of the mean margin is above 0 with probability `power`; None where no number is.

    The bound counts one item more, lost (`worst` below 0, see edgeramp_harness.statistics): its weights are independent
    exponentials, so the sum that decides has the cumulants n E[z] + w, n E[z^2] + w^2, 2 (n E[z^3] + w^3), and its
    quantile follows by Cornish and Fisher. What the items themselves vary is taken as normal, with half an item for continuity.
    `make bench-gates` shows the power that this gives.
    """
    if margin.mean <= 0:
        return None
    low, high = 1, _MOST
    if not _decides(margin, worst, alpha, power, high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _decides(margin, worst, alpha, power, middle) else (middle + 1, high)
    return low


def _decides(margin: Margin, worst: float, alpha: float, power: float, items: int) -> bool:
    normal = NormalDist()
    z, unlucky = normal.inv_cdf(1.0 - alpha), normal.inv_cdf(power)
    mean = items * margin.mean + 1.5 * worst - unlucky * math.sqrt(items * margin.variance)
    variance = items * margin.square + worst**2
    skewness = 2.0 * (items * margin.cube + worst**3) / math.pow(variance, 1.5)
    return mean > math.sqrt(variance) * (z - skewness * (z**2 - 1.0) / 6.0)
