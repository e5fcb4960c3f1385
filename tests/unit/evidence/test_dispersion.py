"""phi: near one for independent requests, near the burst's size for bursts, and never invented."""

from __future__ import annotations

import numpy as np
import pytest
from bench.decisions.worlds import Behaviour, World

from edgeramp.decide.evidence import EvidenceConfig, dispersion, initial_state
from edgeramp.decide.evidence.state import Dispersion, ErrorsEvidence, LatencyEvidence, Running

CONFIG = EvidenceConfig()


def rows(rate: float, burst: int, count: int = 2880) -> list[tuple[int, int]]:
    world = World(100, Behaviour(rate, burst), latency=False)
    history = world.history(CONFIG, 5.0 * count, np.random.default_rng(11))
    return [(row.requests, row.bad) for row in history]


def test_independent_failures_have_a_phi_near_one() -> None:
    phi = dispersion.of_rates(rows(0.005, 1))
    assert phi is not None
    assert 1.0 <= phi < 1.6


def test_bursts_of_sixteen_have_a_phi_of_at_least_sixteen() -> None:
    phi = dispersion.of_rates(rows(0.005, 16))
    assert phi is not None
    assert 15.0 < phi < 26.0


def test_fewer_than_thirty_rows_with_a_failure_say_nothing() -> None:
    assert dispersion.of_rates([(500, 0)] * 2000 + [(500, 1)] * 29) is None
    assert dispersion.of_rates([]) is None
    assert dispersion.of_ranks([(5, 2.5)] * 29) is None


def test_slow_waves_are_seen_over_longer_spans() -> None:
    calm, storm = [(500, 1)] * 24, [(500, 9)] * 24
    phi = dispersion.of_rates((calm + storm) * 30)
    assert phi is not None
    assert phi > 30.0


@pytest.mark.parametrize(
    ("measured", "limit", "fixed", "wanted"),
    [
        (None, 1, None, Dispersion(1.25, "assumed")),
        (None, 16, None, Dispersion(16.0, "assumed")),
        (None, None, None, Dispersion(8.0, "assumed")),
        (1.4, None, None, Dispersion(1.4, "measured")),
        (1.4, 4, None, Dispersion(4.0, "batch limit")),
        (20.0, 16, None, Dispersion(20.0, "measured")),
        (20.0, 16, 2.0, Dispersion(2.0, "set")),
    ],
)
def test_the_larger_of_stable_and_batch_limit_is_used(
    measured: float | None, limit: int | None, fixed: float | None, wanted: Dispersion
) -> None:
    assert dispersion.combined(measured, limit, fixed) == wanted


def test_history_measures_every_phi() -> None:
    world = World(100, Behaviour(0.005, wobble=0.1))
    state = initial_state(
        EvidenceConfig(batch_limit=1), world.history(CONFIG, 1200, np.random.default_rng(2))
    )
    errors, latency = state.metrics
    assert isinstance(errors, ErrorsEvidence)
    assert isinstance(latency, LatencyEvidence)
    assert errors.phi.source == "measured"
    assert latency.phi_ranks.phi > 5.0
    assert latency.phi_p95.phi > 2.0


def test_slowly_changing_latency_makes_the_blocks_of_the_sign_test_longer() -> None:
    calm = [(50, 25.0 + (i % 2)) for i in range(400)]
    waves = [(50, 20.0 + 10.0 * (i // 40 % 2) + (i % 2)) for i in range(400)]
    assert dispersion.shift_rows(calm) == 1
    assert dispersion.shift_rows(waves) > 4


def test_without_history_the_ramp_itself_lowers_an_unknown_phi() -> None:
    start, running = Dispersion(1.25, "assumed"), Running()
    assert dispersion.in_ramp(start, running).phi == dispersion.UNKNOWN
    calm = Running(pairs=97, squares=97.0, last_n=100, last=0.5)
    assert dispersion.in_ramp(start, calm) == start
    stormy = Running(pairs=97, squares=1940.0, last_n=100, last=0.5)
    assert dispersion.in_ramp(start, stormy).phi > 19.0


def test_a_measured_phi_only_rises_in_the_ramp() -> None:
    start = Dispersion(3.0, "measured")
    assert dispersion.in_ramp(start, Running(50, 50.0, 100, 0.5)) == start
    assert dispersion.in_ramp(start, Running(50, 500.0, 100, 0.5)).source == "in the ramp"
    assert dispersion.in_ramp(Dispersion(2.0, "set"), Running(50, 500.0, 100, 0.5)).phi == 2.0
