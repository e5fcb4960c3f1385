"""Bounds against figures known from elsewhere, and against their own promise."""

from __future__ import annotations

import numpy as np
import pytest

from edgeramp_harness import statistics


def scores(both: int, only_b: int, only_c: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    b = np.repeat([1.0, 1.0, 0.0, 0.0], (both, only_b, only_c, neither))
    c = np.repeat([1.0, 0.0, 1.0, 0.0], (both, only_b, only_c, neither))
    return b, c


@pytest.mark.parametrize(("gate", "about"), [(0.95, 60), (0.99, 1500), (0.999, 152_000)])
def test_items_needed_are_those_of_the_design(gate: float, about: int) -> None:
    b, c = scores(890, 10, 10, 90)  # 0.90 baseline accuracy, 2 % flips
    found = statistics.paired_quality(b, c, gate, 0.95, 1)
    assert found.items_needed == pytest.approx(about, rel=0.06)


def test_p99_needs_459_runs_at_99_percent_and_299_at_95() -> None:
    assert statistics.runs_needed(0.99, 0.99) == 459
    assert statistics.runs_needed(0.99, 0.95) == 299
    times = np.arange(299.0)
    assert statistics.percentile(times, 0.99, 0.95) == pytest.approx(295.02)
    assert statistics.percentile(times[:298], 0.99, 0.95) is None


def test_without_a_single_loss_the_bound_is_the_rule_of_three() -> None:
    b, c = scores(59, 0, 0, 0)
    found = statistics.paired_quality(b, c, 0.95, 0.95, 1)
    assert found.retention.point == 1
    assert found.retention.lower == pytest.approx(1 - (1 - 0.05 ** (1 / 59)))
    assert found.margin.lower > 0, "59 items without a loss decide a 95 % gate"
    assert statistics.paired_quality(*scores(58, 0, 0, 0), 0.95, 0.95, 1).margin.lower < 0


def test_bca_and_normal_agree_where_both_apply() -> None:
    b, c = scores(1700, 40, 20, 239)
    bootstrap = statistics.paired_quality(b, c, 0.95, 0.95, 3)
    more = statistics.paired_quality(*scores(1701, 40, 20, 239), 0.95, 0.95, 3)
    assert "BCa" in bootstrap.method
    assert more.method == "normal"
    assert bootstrap.margin.lower == pytest.approx(more.margin.lower, abs=0.001)
    assert bootstrap.retention.lower == pytest.approx(more.retention.lower, abs=0.001)


def test_clusters_widen_the_bound() -> None:
    b, c = scores(900, 50, 0, 50)
    clusters = np.arange(1000) // 50
    plain = statistics.paired_quality(b, c, 0.9, 0.95, 5)
    clustered = statistics.paired_quality(b, c, 0.9, 0.95, 5, clusters)
    assert clustered.margin.lower < plain.margin.lower
    assert "cluster" in clustered.method


def test_the_lower_bound_covers_the_truth_as_often_as_promised() -> None:
    rng = np.random.default_rng(7)
    truth, covered = 0.95, 0
    for trial in range(300):
        b = (rng.random(400) < 0.9).astype(float)
        c = b * (rng.random(400) < truth)
        covered += statistics.paired_quality(b, c, 0.9, 0.95, trial).retention.lower <= truth
    assert covered / 300 > 0.91  # 0.95 less three standard errors


def test_speedup_of_a_known_ratio_is_bounded_on_both_sides() -> None:
    rng = np.random.default_rng(1)
    reference = 2.0 * np.exp(rng.normal(0, 0.03, (40, 2)))
    candidate = 1.0 * np.exp(rng.normal(0, 0.03, (40, 2)))
    found = statistics.speedup([reference], [candidate], 0.95, 1)
    assert found.lower < 2.0 < found.upper
    assert found.half_width < 0.03
    again = statistics.speedup([reference], [candidate], 0.95, 1)
    assert found == again, "a seed in the report makes the bound repeatable"


def test_processes_that_disagree_widen_the_speedup() -> None:
    rng = np.random.default_rng(1)
    candidate = [np.exp(rng.normal(0, 0.02, (30, 2))) * level for level in (1.0, 1.15, 0.9)]
    reference = [2 * np.exp(rng.normal(0, 0.02, (30, 2))) for _ in range(3)]
    together = statistics.speedup(reference, candidate, 0.95, 2)
    alone = statistics.speedup(reference[:1], candidate[:1], 0.95, 2)
    assert together.half_width > 2 * alone.half_width


def test_drift_that_both_sides_feel_cancels_and_one_sided_drift_does_not() -> None:
    rng = np.random.default_rng(1)
    slowing = np.linspace(1, 1.5, 60)[:, None]
    noise = np.exp(rng.normal(0, 0.01, (60, 2)))
    assert statistics.drift(slowing * noise, 0.5 * slowing * noise) < 0.05
    assert statistics.drift(noise, 0.5 * slowing * noise) > 0.2


def test_variation_of_steady_blocks_is_small_and_bounded() -> None:
    blocks = np.exp(np.random.default_rng(3).normal(0, 0.05, 400))
    found = statistics.variation(blocks, 0.95, 1)
    assert found.lower < 0.05 < found.upper
