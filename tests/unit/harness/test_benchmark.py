"""Processes share the work of a profile, and those that met a slow machine are told from the others."""

from __future__ import annotations

import numpy as np
import pytest

from edgeramp.report.spec import BenchmarkProfile
from edgeramp_harness import benchmark
from edgeramp_harness.benchmark import Run
from edgeramp_harness.statistics import Interval


def run(reference: float, candidate: float = 0.5, void: str | None = None, rounds: int = 10) -> Run:
    """Blocks of these medians."""
    sides = np.full((rounds, 2), reference), np.full((rounds, 2), candidate)
    return Run(*sides, sides[0].ravel(), sides[1].ravel(), Interval(2, 2, 2), void=void)


@pytest.mark.parametrize("processes", [1, 3, 5, 9])
def test_all_processes_together_do_what_the_profile_says(processes: int) -> None:
    profile = BenchmarkProfile(
        processes=processes, min_rounds=30, budget_seconds=30.0, latency_runs=500, threads=4
    )
    one = benchmark.share(profile)
    assert 30 <= processes * one.min_rounds < 30 + processes
    assert 500 <= processes * one.latency_runs < 500 + processes
    assert processes * one.budget_seconds == pytest.approx(30.0)
    assert (one.threads, one.confidence) == (4, profile.confidence)


def test_the_machine_is_at_its_best_where_the_reference_was_quickest() -> None:
    runs = [run(1.21), run(1.00), run(1.05)]
    best = benchmark.quickest(runs)
    assert best == 1.00
    assert [round(benchmark.slowed(r, best), 2) for r in runs] == [0.21, 0, 0]


def test_what_earlier_measurements_found_counts_too() -> None:
    runs = [run(1.20), run(1.21)]
    assert [benchmark.slowed(r, benchmark.quickest(runs)) for r in runs] == [0, 0]
    known = benchmark.quickest(runs, 1.0)
    assert all(benchmark.slowed(r, known) > 0.19 for r in runs)
    assert benchmark.quickest(runs, 2.0) == 1.20


def test_one_void_run_voids_all_with_its_reason() -> None:
    assert benchmark.void([run(1), run(1)]) is None
    assert benchmark.void([run(1), run(1, void="throttled for 9.0%")]) == "throttled for 9.0%"


def test_a_ratio_that_drifts_alike_in_every_process_voids_them() -> None:
    drifting = run(1.0, rounds=12)
    drifting.candidate = np.linspace(0.5, 0.6, 12)[:, None] * np.ones((12, 2))
    assert "the ratio drifted by" in (benchmark.void([drifting] * 3) or "")
