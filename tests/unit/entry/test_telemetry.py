"""The metrics are those that are declared, by Prometheus' conventions, and series go with their objects."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.world import healthy, spec_of

from edgeramp.entry.telemetry import Telemetry
from edgeramp.values.metrics import METRICS, Metric


def families(telemetry: Telemetry) -> dict[str, set[tuple[str, ...]]]:
    """Names of the families that are told, with the labels of their samples."""
    told = text_string_to_metric_families(generate_latest(telemetry.registry).decode())
    return {f.name: {tuple(s.labels) for s in f.samples} for f in told}


def series(telemetry: Telemetry) -> int:
    told = text_string_to_metric_families(generate_latest(telemetry.registry).decode())
    return sum(len(f.samples) for f in told)


def test_all_that_is_declared_is_told_and_nothing_else() -> None:
    told = {name.removesuffix("_total") for name in families(Telemetry())}
    assert told == {m.name.removesuffix("_total") for m in METRICS}


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_names_follow_the_conventions(metric: Metric) -> None:
    assert metric.name.startswith("edgeramp_")
    assert metric.name.endswith("_total") == (metric.type == "counter")
    assert not any(metric.name.endswith(unit) for unit in ("_ms", "_percent", "_minutes", "_mb"))
    assert metric.help.endswith(".")


def test_a_ramp_is_told_while_it_runs() -> None:
    telemetry, world = (
        Telemetry(),
        healthy(spec_of("A", strategy={"steps": [{"setWeight": 20}, {"pause": {}}]})),
    )
    where = {"namespace": "shop", "name": "digits-box"}

    def value(name: str, **labels: str) -> float | None:
        telemetry.fleet.saw("Rollout", "shop", "digits-box", world.status)
        return telemetry.registry.get_sample_value(name, where | labels)

    assert value("edgeramp_rollout_candidate_weight_ratio") is None
    world.set_artifact("B")
    began = world.now
    world.run(5)
    assert value("edgeramp_rollout_phase", phase="Paused") == 1
    assert value("edgeramp_rollout_candidate_weight_ratio") == 0.2
    assert value("edgeramp_rollout_ramp_start_timestamp_seconds") == began
    world.annotate("abort")
    world.run(5)
    assert value("edgeramp_rollout_phase", phase="Paused") is None
    assert value("edgeramp_rollout_phase", phase="Degraded") == 1
    assert value("edgeramp_rollout_candidate_weight_ratio") == 0
    assert value("edgeramp_rollout_ramp_start_timestamp_seconds") is None
    assert (
        telemetry.registry.get_sample_value("edgeramp_objects", {"kind": "Rollout", "phase": "Degraded"}) == 1
    )


@pytest.mark.parametrize("reason", ["Promoted", "FastPromoted", "RolledBack", "Aborted", "Superseded"])
def test_outcomes_are_counted_from_zero_on_so_that_an_alert_sees_the_first(reason: str) -> None:
    labels = {"kind": "Rollout", "reason": reason}
    assert Telemetry().registry.get_sample_value("edgeramp_events_total", labels) == 0


def test_series_do_not_outlive_their_objects() -> None:
    telemetry = Telemetry()
    before = series(telemetry)
    ramp = {"phase": "Progressing", "weight": 5, "ramp": {"startedAt": 1.0}}
    for i in range(500):
        for kind in ("Rollout", "EdgeModel", "OptimizationRun"):
            telemetry.fleet.saw(kind, "shop", f"m{i}", ramp)
    assert series(telemetry) == before + 500 * 4 + 3
    for i in range(500):
        for kind in ("Rollout", "EdgeModel", "OptimizationRun"):
            telemetry.fleet.gone(kind, "shop", f"m{i}")
    assert series(telemetry) == before
