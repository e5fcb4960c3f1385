"""`edgeramp report` has a figure and a reason for every candidate."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.optimize.bench import Bench
from tests.unit.optimize.models import played, world

from edgeramp.cli import screen
from edgeramp.cli.candidates import drawing, report
from edgeramp.cli.report import read
from edgeramp.effects.memory import MemoryCluster

Json = dict[str, Any]


def run() -> Json:
    return played().of("OptimizationRun")[0]


def test_each_candidate_has_its_gates_or_a_reason() -> None:
    told = report(run())
    assert (told.phase, told.chosen, told.best_f32) == ("Certified", "ov-ptq-int8", "ov-f32")
    rows = {c.id: c for c in told.candidates}
    assert [g.gate for g in rows["ov-ptq-int8"].gates] == [
        "accuracyRetention", "speedup", "memoryReduction", "latencyVariation",
    ]  # fmt: skip
    assert rows["ov-ptq-int8"].chosen and rows["ov-ptq-int8"].frontier and rows["ov-ptq-int8"].p50_ms == 0.33
    assert all(c.gates or c.message for c in told.candidates)
    assert [(t.candidate, t.verdict) for t in told.certification] == [("ov-ptq-int8", "Pass")]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_tables_fit_their_terminal(width: int) -> None:
    lines = screen.drawn(drawing(report(run()), width), width).splitlines()
    assert max(map(len, lines)) <= width
    chosen = next(line for line in lines if line.startswith("* ov-ptq-int8"))
    assert chosen.split()[2:6] == ["Pass", "0.9985", "2.42x", "0.720"]
    assert any(line.startswith("+ ort-static-int8") for line in lines)
    failed = next(line for line in lines if line.startswith("  ov-weights-int8"))
    assert "1.01x!" in failed
    assert any(line.startswith("olive") and "not tried" in line for line in lines)


def test_bounds_are_shown_where_there_is_room() -> None:
    told = report(run())
    wide, narrow = (screen.drawn(drawing(told, w), w) for w in (120, 80))
    assert "2.38x to 2.47x" in wide and "2.38x to 2.47x" not in narrow.split("CANDIDATE")[1]


def test_a_run_that_has_just_begun_lists_what_it_will_try() -> None:
    fresh = {key: value for key, value in run().items() if key != "status"}
    told = report(fresh)
    assert (
        told.phase == "" and {c.state for c in told.candidates} == {"Pending"} and len(told.candidates) == 7
    )
    assert "no phase yet" in screen.drawn(drawing(told, 100), 100)


def test_the_name_of_an_edgemodel_means_its_present_runs() -> None:
    made, cluster = played(), MemoryCluster()
    for obj in (*made.of("EdgeModel"), *made.of("OptimizationRun")):
        kept = {key: obj["metadata"][key] for key in ("name", "namespace")}
        cluster.put({**obj, "metadata": kept})
    name = made.of("OptimizationRun")[0]["metadata"]["name"]
    assert [r.name for r in read(cluster, "shop", "digits")] == [name]
    assert read(cluster, "shop", name) == read(cluster, "shop", "digits")
    assert read(cluster, "shop", "nothing") == []


def test_an_edgemodel_without_a_run_has_no_report() -> None:
    cluster = MemoryCluster()
    model = world(Bench()).of("EdgeModel")[0]
    cluster.put({**model, "metadata": {"name": "digits", "namespace": "shop"}})
    assert read(cluster, "shop", "digits") == []


def test_the_json_has_the_documented_fields() -> None:
    shape = report(run()).wire()
    assert set(shape) == {"namespace", "name", "model", "target", "revision", "phase", "progress", "message", "node",
                          "bestF32", "chosen", "artifact", "candidates", "certification", "exclusions"}  # fmt: skip
    assert set(shape["candidates"][0]) == {"id", "framework", "precision", "technique", "state", "verdict", "reason",
                                           "reference", "gates", "p50Ms", "sizeBytes", "frontier", "score", "chosen",
                                           "message"}  # fmt: skip
