"""Latency histograms: re-binning, mid-rank scores against a frozen reference, tail edges."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache

from edgeramp.decide.evidence.blocks import Buckets


def bucket_counts(edges: Sequence[float], cumulative: Iterable[tuple[float, int]]) -> Buckets:
    """Requests per bucket of `edges` from (upper edge, cumulative count); other edges go where they fall."""
    counts = [0] * (len(edges) + 1)
    before = 0
    for edge, upto in sorted(cumulative):
        here = len(edges) if math.isinf(edge) else bisect_left(edges, edge * (1.0 - 1e-9))
        counts[here] += max(0, upto - before)
        before = max(before, upto)
    return tuple(counts)


def add(left: Buckets, right: Buckets) -> Buckets:
    """Sum of two histograms over the same edges; () is nothing."""
    if not left or not right:
        return left or right
    return tuple(a + b for a, b in zip(left, right, strict=True))


@lru_cache(maxsize=64)
def scores(reference: Buckets) -> tuple[float, ...]:
    """Mid-rank of each bucket in the reference: the share below it and half of the share in it, 0 to 1."""
    total = sum(reference)
    below = 0
    out = []
    for count in reference:
        out.append((below + count / 2.0) / total)
        below += count
    return tuple(out)


def tail_cut(reference: Buckets, share: float) -> int:
    """The index of the last bucket that is not tail, at the edge where the tail is nearest to `share`."""
    total = sum(reference)
    above = total
    best, distance = len(reference) - 2, math.inf
    for index, count in enumerate(reference[:-1]):
        above -= count
        if abs(above / total - share) < distance:
            best, distance = index, abs(above / total - share)
    return best


def tail(buckets: Buckets, cut: int) -> int:
    """How many requests are slower than the edge above bucket `cut`."""
    return sum(buckets[cut + 1 :])


def faster(buckets: Buckets, steps: int) -> Buckets:
    """The histogram with every request moved down by `steps` buckets (what the candidate is forgiven)."""
    if steps <= 0 or not buckets:
        return buckets
    return (sum(buckets[: steps + 1]), *buckets[steps + 1 :], *(0,) * steps)


def scored(buckets: Buckets, by: Sequence[float]) -> tuple[tuple[float, int], ...]:
    """(score, how many) of the buckets that are not empty."""
    return tuple((by[i], n) for i, n in enumerate(buckets) if n)
