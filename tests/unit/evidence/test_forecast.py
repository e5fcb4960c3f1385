"""The forecast says how long each step takes, what would be found by then, and what to write where that is too long."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bench.decisions.worlds import Behaviour, World, ever_rolled_back, ramp

from edgeramp.decide.evidence import (
    ErrorsMetric,
    EvidenceConfig,
    HistoryRow,
    LatencyMetric,
    forecast,
    traffic,
)
from edgeramp.decide.evidence.forecast import TOO_LONG_S, sentence, table

CONFIG = EvidenceConfig(batch_limit=1)


def test_enough_traffic_needs_no_other_steps() -> None:
    found = forecast(CONFIG, 100)
    assert found is not None and found.proposal == ""
    assert [(s.weight, s.target) for s in found.steps] == [(5, 25), (25, 50), (50, 100)]


def test_little_traffic_gets_a_mirror_step_and_a_larger_weight() -> None:
    found = forecast(CONFIG, 10)
    assert found is not None
    assert found.proposal == (
        "5 % takes long at this traffic: write setMirror: 100 and a pause first (copies show a crash and reach no user, but"
        " are not judged), then setWeight: 10, which takes about 12m30s."
    )
    better = forecast(replace(CONFIG, weights=(10, 25, 50)), 10)
    assert better is not None and better.proposal == "" and better.steps[0].seconds <= TOO_LONG_S


def test_far_too_little_traffic_is_said() -> None:
    found = forecast(CONFIG, 0.5)
    assert (
        found is not None
        and "longer than maxDuration (2h00m), and no first weight up to 50 %" in found.proposal
    )


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, weights=(100,))])
def test_nothing_is_forecast_where_nothing_is_compared(config: EvidenceConfig) -> None:
    assert forecast(config, 0.0) is None and forecast(replace(CONFIG, weights=(100,)), 50) is None
    assert "cannot be said" in sentence(None) and "nothing is compared" in "".join(table(None))


def test_the_least_rate_is_found_about_every_other_time_and_twice_of_it_nearly_always() -> None:
    config = replace(CONFIG, metrics=(ErrorsMetric(),))
    found = forecast(config, 100)
    assert found is not None
    step = found.steps[0]
    assert step.least is not None
    for factor, lowest, highest in ((0.5, 0, 8), (1.0, 6, 34), (2.0, 34, 40)):
        world = World(100, Behaviour(), Behaviour(step.least * factor), latency=False)
        rng = np.random.default_rng(5)
        one = replace(config, weights=(step.weight,))
        seen = sum(ever_rolled_back(one, world, rng, int(step.seconds / 5)) for _ in range(40))
        assert lowest <= seen <= highest


def test_a_healthy_ramp_takes_about_as_long_as_forecast() -> None:
    found = forecast(CONFIG, 100)
    rng = np.random.default_rng(3)
    took = [ramp(CONFIG, World(100), rng, World(100).history(CONFIG, 600, rng)).at_s for _ in range(9)]
    assert found is not None and float(np.median(took)) == pytest.approx(found.seconds, rel=0.35)


def test_without_a_failure_rate_only_time_is_said() -> None:
    found = forecast(replace(CONFIG, metrics=(LatencyMetric(),)), 100)
    assert found is not None and all(step.least is None for step in found.steps)
    assert "only an outage would be found by then" in "\n".join(table(found))


def test_traffic_is_what_the_history_has() -> None:
    assert traffic([HistoryRow(50, 0), HistoryRow(150, 1)]) == 20.0 and traffic([]) == 0.0
