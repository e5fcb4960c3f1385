"""Wealth over several arms, with fresh money for regressions that start late; everything in logs.

Half of the money is placed at the start, the other half in equal parts once a minute over the longest duration.
What is not placed yet is kept as cash, so the total starts at 1 and placing money never changes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def log_sum_exp(logs: Iterable[float]) -> float:
    """log(sum(exp(x))) without overflow; minus infinity for nothing."""
    values = tuple(logs)
    top = max(values, default=-math.inf)
    if top == -math.inf:
        return top
    return top + math.log(sum(math.exp(x - top) for x in values))


def minutes_in(max_duration_s: float) -> int:
    """How many times late money is placed in a rollout of at most this long."""
    return max(1, int(max_duration_s // 60))


def minutes_due(start_s: float, max_duration_s: float) -> int:
    """How often late money must have been placed before a block that starts at `start_s`."""
    return min(minutes_in(max_duration_s), max(0, int(start_s // 60)))


def first_money(arms: int) -> tuple[float, ...]:
    """Half of the money, spread over the arms."""
    return (-math.log(2.0 * arms),) * arms


def place_money(logs: Sequence[float], times: int, max_duration_s: float) -> tuple[float, ...]:
    """Place the late money of `times` minutes on all arms."""
    if times <= 0 or not logs:
        return tuple(logs)
    share = math.log(times * 0.5 / minutes_in(max_duration_s) / len(logs))
    return tuple(log_sum_exp((x, share)) for x in logs)


def log_wealth(logs: Sequence[float], minutes_paid: int, max_duration_s: float) -> float:
    """The log of the total: what the arms hold, and the cash that is not placed yet."""
    cash = 0.5 - 0.5 * minutes_paid / minutes_in(max_duration_s)
    return log_sum_exp((*logs, math.log(cash))) if cash > 1e-15 else log_sum_exp(logs)


def equal_money(arms: int) -> tuple[float, ...]:
    """All of the money, spread over the arms, without late money (promotion)."""
    return (-math.log(arms),) * arms


def restart(logs: Sequence[float]) -> tuple[float, ...]:
    """Start a wealth anew at 1, half on the arms as they did so far, half spread equally.

    Dividing a wealth by its own present value gives a new test of what follows from here on.
    """
    total = log_sum_exp(logs)
    even = -math.log(2.0 * len(logs))
    return tuple(log_sum_exp((x - total - math.log(2.0), even)) for x in logs)
