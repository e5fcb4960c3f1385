"""phi: how many requests one event fails (or slows) together, measured on stable's history.

The tests divide the log of their evidence by phi. With phi too small their promise breaks, so it is the larger of
what stable shows and the candidate's batch limit, and it is shown with every decision.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from edgeramp.decide.evidence.state import Dispersion, Running

SPANS = (1, 2, 4, 6, 12, 24, 48)
ASSUMED = 1.25
ASSUMED_BATCH = 8
UNKNOWN = 8.0
UNKNOWN_PAIRS = 3.0
"""What is taken for the latency's phi where nothing was measured, and how many pairs of blocks that weighs."""
_FEWEST_ROWS = 30
_FEWEST_PAIRS = 20
Score = tuple[int, float]
"""(requests, sum of scores) of one row of history."""


def of_rates(rows: Sequence[tuple[int, int]]) -> float | None:
    """phi of (requests, bad) per 5 s; None when fewer than 30 rows have a bad one."""
    if sum(1 for _, bad in rows if bad) < _FEWEST_ROWS:
        return None
    rate = sum(bad for _, bad in rows) / sum(n for n, _ in rows)
    return _largest(
        [(bad - n * rate) / math.sqrt(n * rate) for n, bad in _summed(rows, span) if n] for span in SPANS
    )


def of_ranks(rows: Sequence[Score]) -> float | None:
    """phi of mid-rank scores per 5 s; None when fewer than 30 rows have a request."""
    if sum(1 for n, _ in rows if n) < _FEWEST_ROWS:
        return None
    phi = 1.0
    for span in SPANS:
        estimate = _ranks_at(rows, span)
        if estimate is not None:
            phi = max(phi, estimate[0] + (2.0 if span == 1 else 1.0) * estimate[1])
    return phi


def shift_rows(rows: Sequence[Score]) -> int:
    """How many rows a block of `shift` needs so that neighbouring blocks are nearly independent."""
    for span in (1, 2, 4, 8):
        once, twice = _ranks_at(rows, span), _ranks_at(rows, 2 * span)
        if once is None or twice is None:
            return span
        if twice[0] < 1.3 * once[0]:
            return span
    return 12


def combined(measured: float | None, batch_limit: int | None, fixed: float | None) -> Dispersion:
    """The phi to use: set by the user, else the larger of measured (or assumed) and the batch limit."""
    limit = float(ASSUMED_BATCH if batch_limit is None and measured is None else batch_limit or 1)
    if fixed is not None:
        return Dispersion(fixed, "set")
    if measured is not None:
        return Dispersion(max(measured, limit), "measured" if measured >= limit else "batch limit")
    return Dispersion(max(ASSUMED, limit), "assumed")


def with_ranks(running: Running, requests: int, mean: float) -> Running:
    """After one more block of stable with this mean mid-rank."""
    if not running.last_n:
        return replace(running, last_n=requests, last=mean)
    spread = (1.0 / requests + 1.0 / running.last_n) / 12.0
    return Running(running.pairs + 1, running.squares + (mean - running.last) ** 2 / spread, requests, mean)


def with_rate(running: Running, requests: int, bad: int, rate: float) -> Running:
    """After one more block of stable with these counts; `rate` is the share of bad in the reference."""
    residual = (bad - requests * rate) / math.sqrt(requests * rate) if rate > 0 else 0.0
    if not running.last_n:
        return replace(running, last_n=requests, last=residual)
    square = (residual - running.last) ** 2 / 2.0
    return Running(running.pairs + 1, running.squares + square, requests, residual)


def in_ramp(start: Dispersion, running: Running) -> Dispersion:
    """The phi to use now: what the ramp started with, or what stable shows since, whichever is larger.

    Where nothing was measured before the ramp, the estimate starts at 8 and gives way to what is seen. Assuming
    1.25 for latency gave 8 % false rollbacks when each track's latency wandered by 10 % from block to block.
    """
    if start.source == "set":
        return start
    prior = (UNKNOWN, UNKNOWN_PAIRS) if start.source == "assumed" else (start.phi, float(_FEWEST_PAIRS))
    shown = (prior[0] * prior[1] + running.squares) / (prior[1] + running.pairs)
    return start if shown <= start.phi else Dispersion(shown, "in the ramp")


def _largest(by_span: Iterable[list[float]]) -> float:
    phi = 1.0
    for position, residuals in enumerate(by_span):
        squares = [(b - a) ** 2 / 2.0 for a, b in pairwise(residuals)]
        estimate = _mean_and_error(squares)
        if estimate is not None:
            phi = max(phi, estimate[0] + (2.0 if position == 0 else 1.0) * estimate[1])
    return phi


def _ranks_at(rows: Sequence[Score], span: int) -> tuple[float, float] | None:
    means = [(n, total / n) for n, total in _summed(rows, span) if n]
    squares = [(b - a) ** 2 / ((1.0 / n + 1.0 / m) / 12.0) for (m, a), (n, b) in pairwise(means)]
    return _mean_and_error(squares)


def _summed(rows: Sequence[tuple[int, float]], span: int) -> list[tuple[int, float]]:
    """Sums over `span` neighbouring rows; an incomplete last group is left out."""
    return [
        (sum(n for n, _ in rows[i : i + span]), sum(x for _, x in rows[i : i + span]))
        for i in range(0, len(rows) - span + 1, span)
    ]


def _mean_and_error(squares: Sequence[float]) -> tuple[float, float] | None:
    """Mean and its standard error; neighbours share a row, so their covariance is counted. None: too few."""
    count = len(squares)
    if count < _FEWEST_PAIRS:
        return None
    mean = sum(squares) / count
    spread = sum((x - mean) ** 2 for x in squares) / count
    shared = sum((a - mean) * (b - mean) for a, b in pairwise(squares)) / count
    return mean, math.sqrt(max(spread + 2.0 * shared, spread) / count)
