"""Seeded ramps: how often healthy candidates are rolled back, and how soon bad ones are found."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest
from bench.decisions.rules import Counts, flagger, kayenta, threshold
from bench.decisions.worlds import Behaviour, Trouble, World, ever_rolled_back, ramp

from edgeramp.decide.evidence import ErrorsMetric, EvidenceConfig, LatencyMetric
from edgeramp.values.verdict import Verdict

MOST_OF_200 = 6
"""Seven or more of 200 would put the lower 99 % binomial bound above 1 %."""


@pytest.mark.parametrize(
    ("stable_burst", "candidate_burst", "batch_limit", "history"),
    [
        pytest.param(1, 1, 1, False, id="independent"),
        pytest.param(16, 16, 1, True, id="bursts of 16 on both, known from history"),
        pytest.param(1, 16, 16, False, id="bursts of 16 on the candidate only"),
        pytest.param(16, 1, 1, True, id="bursts of 16 on stable only"),
    ],
)
def test_case_43_healthy_ramps_are_rolled_back_in_at_most_one_of_a_hundred(
    stable_burst: int, candidate_burst: int, batch_limit: int, history: bool
) -> None:
    config = EvidenceConfig(batch_limit=batch_limit, metrics=(ErrorsMetric(user_budget=None),))
    rate = 0.005
    world = World(100, Behaviour(rate, stable_burst), Behaviour(rate, candidate_burst), latency=False)
    rng = np.random.default_rng(2026)
    before = world.history(config, 4 * 3600, rng) if history else None
    wrong = sum(ever_rolled_back(config, world, rng, 90, before) for _ in range(200))
    assert wrong <= MOST_OF_200


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(Trouble(600, 20, 0.5), id="stalls of 20 s on each track, known from history"),
        pytest.param(Trouble(600, 90, 0.5), id="stalls of 90 s on each track, known from history"),
        pytest.param(Trouble(600, 60, 0.3, shared=True), id="incidents on both at once, unknown before"),
    ],
)
def test_healthy_ramps_in_troubled_times_are_rolled_back_in_at_most_one_of_a_hundred(
    trouble: Trouble,
) -> None:
    config = EvidenceConfig(batch_limit=1, metrics=(ErrorsMetric(user_budget=None),))
    world = World(100, latency=False, trouble=trouble)
    rng = np.random.default_rng(2027)
    before = None if trouble.shared else world.history(config, 4 * 3600, rng)
    wrong = sum(ever_rolled_back(config, world, rng, 90, before) for _ in range(200))
    assert wrong <= MOST_OF_200


def test_other_peoples_rules_do_as_their_documents_say() -> None:
    """An outage from the first second on: each acts when its own arithmetic says so."""
    config = EvidenceConfig(batch_limit=1)
    world = World(100, Behaviour(), Behaviour(1.0), latency=False)
    counts = Counts.of(list(world.blocks(config, 360, np.random.default_rng(5), weight=5)))
    assert threshold(60.0, 60.0, 0.01, 3)(counts) == 240.0  # the fourth failure
    assert flagger(60.0, 0.01, 10)(counts) == 660.0  # ten failed checks, and one interval
    assert kayenta(300.0)(counts) == 300.0
    quiet = Counts.of(list(World(100, latency=False).blocks(config, 360, np.random.default_rng(5), weight=5)))
    assert flagger(60.0, 0.01, 10)(quiet) is None


def test_with_phi_too_small_the_promise_breaks() -> None:
    """The condition of the promise, seen: bursts of 16 on the candidate while we believe in single failures."""
    config = EvidenceConfig(batch_limit=1, metrics=(ErrorsMetric(user_budget=None),))
    world = World(100, Behaviour(0.02), Behaviour(0.02, 16), latency=False)
    rng = np.random.default_rng(1)
    assert sum(ever_rolled_back(config, world, rng, 360) for _ in range(12)) >= 10


@pytest.mark.parametrize("wobble", [0.0, 0.1])
def test_latency_that_wanders_on_both_tracks_rolls_nothing_back(wobble: float) -> None:
    config = EvidenceConfig(batch_limit=1, metrics=(LatencyMetric(),), warmup_s=0.0)
    world = World(100, Behaviour(wobble=wobble), Behaviour(wobble=wobble))
    rng = np.random.default_rng(3)
    assert sum(ever_rolled_back(config, world, rng, 60) for _ in range(25)) <= 2


@pytest.mark.parametrize(
    ("candidate", "weight", "most_s"),
    [
        pytest.param(Behaviour(1.0), 5, 5.0, id="outage"),
        pytest.param(Behaviour(0.01), 25, 90.0, id="errors 0.1 to 1 %"),
        pytest.param(Behaviour(median_s=0.03), 5, 25.0, id="p95 +50 %"),
        pytest.param(Behaviour(median_s=0.024), 25, 90.0, id="p95 +20 %"),
    ],
)
def test_case_43_a_bad_candidate_is_found_soon(candidate: Behaviour, weight: int, most_s: float) -> None:
    config = EvidenceConfig(batch_limit=1, weights=(weight,), warmup_s=0.0)
    world = World(100, Behaviour(), candidate)
    rng = np.random.default_rng(9)
    before = world.history(config, 600, rng)
    endings = [ramp(config, world, rng, before) for _ in range(9)]
    assert all(end.judgement.verdict is Verdict.FAIL for end in endings)
    assert median(end.at_s for end in endings) <= most_s


def test_twenty_per_cent_errors_are_found_within_five_scrapes_of_a_second() -> None:
    config = EvidenceConfig(batch_limit=1, weights=(25,), scrape_interval_s=1.0)
    world = World(50, Behaviour(), Behaviour(0.2), interval_s=1.0)
    rng = np.random.default_rng(9)
    before = world.history(config, 300, rng)
    assert median(ramp(config, world, rng, before).at_s for _ in range(21)) <= 5.0


def test_a_healthy_ramp_is_done_in_about_four_minutes() -> None:
    config = EvidenceConfig(batch_limit=1, weights=(5, 25, 50))
    rng = np.random.default_rng(12)
    before = World(100).history(config, 600, rng)
    endings = [ramp(config, World(100), rng, before) for _ in range(11)]
    assert all(end.judgement.verdict is Verdict.PASS for end in endings)
    assert median(end.at_s for end in endings) <= 300.0


@pytest.mark.parametrize("budget", [0.05, 0.2, 0.5, 1.0])
def test_a_wide_budget_is_proven_soon(budget: float) -> None:
    """Also where budget / next weight is 100 pp or more, which nothing can prove as it stands."""
    config = EvidenceConfig(batch_limit=1, weights=(25, 50), metrics=(ErrorsMetric(user_budget=budget),))
    end = ramp(config, World(50, latency=False), np.random.default_rng(14), None)
    assert end.judgement.verdict is Verdict.PASS
    assert end.at_s <= 120.0


def test_a_candidate_outside_the_margin_is_rarely_promoted() -> None:
    """0.8 pp more errors is exactly what the step from 5 to 25 % must not take; rollback is out of the way."""
    config = EvidenceConfig(batch_limit=1, weights=(5, 25), false_rollback=1e-9, metrics=(ErrorsMetric(),))
    world = World(100, Behaviour(0.001), Behaviour(0.009), latency=False)
    rng = np.random.default_rng(13)
    assert sum(bool(ramp(config, world, rng, None, 300.0).sentences) for _ in range(60)) <= 8
