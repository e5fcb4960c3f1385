"""Bounds against figures known from elsewhere, and against their own promise."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from edgeramp.decide.gates_power import retention_items
from edgeramp_harness import statistics


def scores(both: int, only_b: int, only_c: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    b = np.repeat([1.0, 1.0, 0.0, 0.0], (both, only_b, only_c, neither))
    c = np.repeat([1.0, 0.0, 1.0, 0.0], (both, only_b, only_c, neither))
    return b, c


def loses_at_most(misses: int, trials: int, alpha: float) -> bool:
    """The lower 99.9 % binomial bound (Clopper and Pearson) of the share of misses does not exceed alpha."""
    return misses == 0 or float(stats.beta.ppf(0.001, misses, trials - misses + 1)) <= alpha


@functools.cache
def margin(counts: tuple[int, int, int, int], gate: float, confidence: float) -> statistics.Interval:
    return statistics.paired_quality(*scores(*counts), gate, confidence, 1).margin


def drawn(shares: tuple[float, ...], items: int, trials: int) -> list[tuple[int, int, int, int]]:
    found = np.random.default_rng(20261127).multinomial(items, shares, size=trials)
    return [tuple(map(int, row)) for row in found]  # type: ignore[misc]


def test_gaffke_is_clopper_and_pearson_where_only_losses_occur() -> None:
    both, lost = 97, 3
    found = statistics.paired_quality(*scores(both, lost, 0, 0), 0.9, 0.95, 1).retention
    assert found.lower == pytest.approx(float(stats.beta.ppf(0.05, both, lost + 1)), abs=5e-4)
    assert found.upper >= float(stats.beta.ppf(0.95, both + 1, lost)) - 5e-4


@pytest.mark.parametrize(
    ("gate", "accuracy", "gained", "items"),
    [
        (0.95, 0.7, 0.0, 100), (0.95, 0.9, 0.01, 60), (0.95, 0.9, 0.01, 200), (0.97, 0.9, 0.02, 200),
        (0.99, 0.9, 0.01, 1000), (0.99, 0.7, 0.05, 2500),
    ],
)  # fmt: skip
def test_a_candidate_exactly_at_the_gate_is_decided_wrongly_at_most_as_often_as_declared(
    gate: float, accuracy: float, gained: float, items: int
) -> None:
    lost = (1 - gate) * accuracy + gained
    rows = drawn((accuracy - lost, lost, gained, 1 - accuracy - gained), items, 400)
    found = [margin(row, gate, 0.95) for row in rows]
    assert loses_at_most(sum(m.lower > 0 for m in found), 400, 0.05)
    assert loses_at_most(sum(m.upper < 0 for m in found), 400, 0.05)


def test_three_tries_on_the_same_items_together_keep_the_alpha() -> None:
    """Three candidates, each exactly at the gate, certified one after the other as the operator does it."""
    wrong, trials, gate, items = 0, 400, 0.95, 200
    for row in np.random.default_rng(3).multinomial(items, (0.845, 0.055, 0.01, 0.09), size=(trials, 3)):
        levels = (0.05 / 2, 0.05 / 4, 0.05 / 8)
        wrong += any(
            margin(tuple(map(int, counts)), gate, 1 - alpha).lower > 0  # type: ignore[arg-type]
            for counts, alpha in zip(row, levels, strict=True)
        )
    assert loses_at_most(wrong, trials, 0.05)


@pytest.mark.parametrize(("gate", "alpha"), [(0.95, 0.05), (0.95, 0.025), (0.97, 0.05), (0.99, 0.05)])
def test_the_planned_number_of_items_gives_the_power_that_it_claims(gate: float, alpha: float) -> None:
    items = retention_items(gate, alpha)
    assert items is not None
    rows = drawn((0.89, 0.01, 0.01, 0.09), items, 400)
    missed = sum(margin(row, gate, 1 - alpha).lower <= 0 for row in rows)
    assert loses_at_most(missed, 400, 0.20)
    fewer = drawn((0.89, 0.01, 0.01, 0.09), items // 2, 400)
    assert sum(margin(row, gate, 1 - alpha).lower > 0 for row in fewer) < 0.75 * 400, "nor is it idly large"


def test_p99_needs_459_runs_at_99_percent_and_299_at_95() -> None:
    assert statistics.runs_needed(0.99, 0.99) == 459
    assert statistics.runs_needed(0.99, 0.95) == 299
    times = np.arange(299.0)
    assert statistics.percentile(times, 0.99, 0.95) == pytest.approx(295.02)
    assert statistics.percentile(times[:298], 0.99, 0.95) is None


def test_without_a_single_loss_the_bound_is_the_rule_of_three() -> None:
    found = statistics.paired_quality(*scores(59, 0, 0, 0), 0.95, 0.95, 1)
    assert found.retention.point == 1
    assert found.retention.lower == pytest.approx(0.05 ** (1 / 59), abs=5e-4)
    assert statistics.paired_quality(*scores(60, 0, 0, 0), 0.95, 0.95, 1).margin.lower > 0
    assert statistics.paired_quality(*scores(57, 0, 0, 0), 0.95, 0.95, 1).margin.lower < 0


def test_retention_and_margin_never_contradict_each_other() -> None:
    for lost in range(20):
        found = statistics.paired_quality(*scores(180 - lost, lost, 4, 20), 0.95, 0.95, 3)
        assert (found.retention.lower > 0.95) == (found.margin.lower > 0)
        assert (found.retention.upper < 0.95) == (found.margin.upper < 0)


def test_a_further_loss_never_raises_the_bound() -> None:
    lowers = [margin((100 - lost, lost, 0, 10), 0.95, 0.95).lower for lost in range(12)]
    assert lowers == sorted(lowers, reverse=True)


def test_clusters_widen_the_bound() -> None:
    b, c = scores(900, 50, 0, 50)
    clusters = np.arange(1000) // 50
    plain = statistics.paired_quality(b, c, 0.9, 0.95, 5)
    clustered = statistics.paired_quality(b, c, 0.9, 0.95, 5, clusters)
    assert clustered.margin.lower < plain.margin.lower
    assert "cluster" in clustered.method


def test_speedup_of_a_known_ratio_is_bounded_on_both_sides() -> None:
    rng = np.random.default_rng(1)
    reference = 2.0 * np.exp(rng.normal(0, 0.03, (40, 2)))
    candidate = 1.0 * np.exp(rng.normal(0, 0.03, (40, 2)))
    found = statistics.speedup([reference], [candidate], 0.95, 1)
    assert found.lower < 2.0 < found.upper
    assert found.half_width < 0.03
    again = statistics.speedup([reference], [candidate], 0.95, 1)
    assert found == again, "a seed in the report makes the bound repeatable"


def pairs(rng: np.random.Generator, levels: Sequence[float]) -> tuple[list[Any], list[Any]]:
    """Process pairs whose true ratio is 2 times the level."""
    noise = np.exp(rng.normal(0, 0.02, (2, len(levels), 30, 2)))
    return [2 * level * n for level, n in zip(levels, noise[0], strict=True)], list(noise[1])


def test_processes_that_disagree_widen_the_speedup() -> None:
    apart, alike = (pairs(np.random.default_rng(1), levels) for levels in ((1.0, 1.15, 0.9), (1.0, 1.0, 1.0)))
    wide, narrow = statistics.speedup(*apart, 0.95, 2), statistics.speedup(*alike, 0.95, 2)
    assert wide.half_width > 5 * narrow.half_width
    assert wide.point == pytest.approx(2 * (1.15 * 0.9) ** (1 / 3), rel=0.02)


def test_the_speedup_over_processes_is_bounded_as_promised() -> None:
    rng, low, high = np.random.default_rng(7), 0, 0
    for _ in range(400):
        found = statistics.speedup(*pairs(rng, np.exp(rng.normal(0, 0.05, 3))), 0.95, 1)
        low, high = low + (found.lower > 2), high + (found.upper < 2)
    assert loses_at_most(low, 400, 0.05) and loses_at_most(high, 400, 0.05)


def test_the_spread_within_processes_leaves_out_what_lies_between_them() -> None:
    rng = np.random.default_rng(2)
    blocks = [level * rng.normal(1, 0.03, (200, 2)) for level in (1.0, 1.2, 0.8)]
    together = statistics.within(blocks)
    assert together.std(ddof=1) / together.mean() == pytest.approx(0.03, rel=0.1)
    few = [rng.normal(1, 0.03, (1, 2)) for _ in range(3000)]
    assert statistics.within(few).std(ddof=1) == pytest.approx(0.03, rel=0.05), (
        "with the degrees of freedom paid"
    )


def test_drift_that_both_sides_feel_cancels_and_one_sided_drift_does_not() -> None:
    rng = np.random.default_rng(1)
    slowing = np.linspace(1, 1.5, 60)[:, None]
    noise = np.exp(rng.normal(0, 0.01, (60, 2)))
    assert statistics.drift([slowing * noise], [0.5 * slowing * noise]) < 0.05
    assert statistics.drift([noise], [0.5 * slowing * noise]) > 0.2
    assert statistics.drift([noise] * 3, [0.5 * slowing * noise] * 3) > 0.2
    assert statistics.drift([noise[:5]], [slowing[:5] * noise[:5]]) == 0, "five rounds tell nothing"


@pytest.mark.parametrize("shape", ["normal", "lognormal", "gamma"])
def test_the_variation_is_bounded_as_promised_for_skewed_times_too(shape: str) -> None:
    rng = np.random.default_rng(3)
    blocks = {
        "normal": lambda size: rng.normal(1, 0.05, size),
        "lognormal": lambda size: np.exp(rng.normal(0, 0.2, size)),
        "gamma": lambda size: 1 + 0.1 * rng.gamma(1, 1, size),
    }[shape]
    many = blocks(1_000_000)
    truth = many.std() / many.mean()
    found = [statistics.variation(blocks(60), 0.95) for _ in range(600)]
    assert loses_at_most(sum(f.upper < truth for f in found), 600, 0.05)
    assert loses_at_most(sum(f.lower > truth for f in found), 600, 0.05)
    assert float(np.median([f.upper for f in found])) < 2 * truth, "nor is it idly wide"


def test_blocks_that_do_not_vary_have_no_variation() -> None:
    assert statistics.variation(np.full(60, 0.25), 0.95) == statistics.Interval(0, 0, 0)


@pytest.mark.parametrize("blocks", [2, 4, 9, 10, 60])
def test_a_run_of_any_length_has_a_finite_variation(blocks: int) -> None:
    found = statistics.variation(np.linspace(0.9, 1.1, blocks), 0.95)
    assert 0 < found.lower < found.point < found.upper < 1e3


def test_saved_memory_is_bounded_by_what_processes_differ() -> None:
    rng = np.random.default_rng(4)
    misses = 0
    for _ in range(600):
        before, after = rng.normal(100, 3, 5), rng.normal(45, 3, 5)
        found = statistics.saved(before, after, 0.95)
        assert found is not None and found.lower < found.point < found.upper
        misses += found.lower > 0.55
    assert loses_at_most(misses, 600, 0.05)


def test_memory_without_a_spread_or_growth() -> None:
    assert statistics.saved(np.array([100.0]), np.array([50.0]), 0.95) is None
    assert statistics.saved(np.array([100.0, 101.0]), np.array([50.0, 0.0]), 0.95) is None
    same = statistics.saved(np.full(5, 100.0), np.full(5, 25.0), 0.95)
    assert same is not None and (same.lower, same.upper) == (pytest.approx(0.75), pytest.approx(0.75))
