"""`edgeramp get` draws what belongs to what; `-o json` keeps its shape."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.world import healthy, spec_of
from tests.unit.optimize.models import ROUTE, played

from edgeramp.cli import get, screen
from edgeramp.cli.tree import Tree, only, table, tree
from edgeramp.effects.memory import MemoryCluster
from edgeramp.values.names import API_VERSION

Json = dict[str, Any]


def objects() -> tuple[list[Json], list[Json], list[Json]]:
    """An EdgeModel whose run was certified and whose Rollout ramps at 10 %, and a Rollout of a user's own."""
    made = played(rollout={"route": ROUTE, "replicas": 1})
    steps = {"steps": [{"setWeight": 10}, {"pause": {}}], "analysis": {"enabled": False}}
    world = healthy(spec_of("A", strategy=steps))
    world.set_artifact("B")
    world.run(5)
    served = made.of("Rollout")[0] | {"status": world.status}
    alone = {**world.rollout, "apiVersion": API_VERSION, "kind": "Rollout"}
    return made.of("EdgeModel"), made.of("OptimizationRun"), [alone, served]


def whole() -> Tree:
    return tree(*objects())


def test_runs_and_rollout_stand_under_their_target() -> None:
    (model,) = whole().models
    (target,) = model.targets
    assert (model.namespace, model.name, target.name, target.framework) == (
        "shop",
        "digits",
        "vnni",
        "openvino",
    )
    (run,) = target.runs
    assert (run.current, run.phase, run.candidate) == (True, "Certified", "ov-ptq-int8")
    assert target.rollout is not None
    shown = target.rollout
    assert (shown.name, shown.phase, shown.step, shown.weight) == ("digits-vnni", "Paused", "2/3", 10)


def test_a_rollout_without_an_edgemodel_is_shown_below() -> None:
    assert [r.name for r in whole().rollouts] == ["digits-box"]


def test_runs_of_earlier_revisions_are_told_apart() -> None:
    models, runs, rollouts = objects()
    older = {**runs[0], "metadata": {**runs[0]["metadata"], "name": "digits-vnni-old"}}
    lines = tree(models, [older, *runs], rollouts).models[0].targets[0].runs
    assert [(r.name == runs[0]["metadata"]["name"], r.current) for r in lines] == [
        (False, False),
        (True, True),
    ]


def test_what_has_no_status_yet_is_shown_as_well() -> None:
    models, *_ = objects()
    fresh = {key: value for key, value in models[0].items() if key != "status"}
    (model,) = tree([fresh], [], []).models
    assert (model.phase, [t.name for t in model.targets], model.targets[0].rollout) == ("", ["vnni"], None)


def test_objects_of_another_namespace_with_the_same_name_stay_apart() -> None:
    models, runs, rollouts = objects()
    elsewhere = {**models[0], "metadata": {**models[0]["metadata"], "namespace": "lab"}}
    found = {m.namespace: m.targets[0] for m in tree([elsewhere, *models], runs, rollouts).models}
    assert found["lab"].runs == [] and found["lab"].rollout is None and found["shop"].rollout is not None


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_table_fits_its_terminal_and_cuts_no_name(width: int) -> None:
    lines = screen.drawn(table(whole(), True, width), width).splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0].split()[:5] == ["NAME", "PHASE", "STEP", "WEIGHT", "VERDICT"]
    assert lines[2].startswith("└─ vnni: openvino int8 2.42x")
    assert lines[3].startswith("   ├─ run digits-vnni-") and "Certified" in lines[3] and "7/7" in lines[3]
    assert lines[4].startswith("   └─ rollout digits-vnni ") and "Paused" in lines[4] and "10 %" in lines[4]
    assert lines[5].startswith("shop/digits-box")


def test_one_name_is_one_model_or_one_rollout() -> None:
    assert [m.name for m in only(whole(), "digits").models] == ["digits"] and not only(
        whole(), "digits"
    ).rollouts
    assert only(whole(), "digits-box").rollouts and not only(whole(), "digits-box").models


def test_the_json_has_the_documented_fields() -> None:
    shape = whole().wire()
    assert set(shape) == {"models", "rollouts"}
    (model,) = shape["models"]
    assert set(model) == {"namespace", "name", "phase", "revision", "message", "targets"}
    (target,) = model["targets"]
    assert set(target) == {"name", "phase", "reason", "message", "framework", "precision", "speedup", "retention",
                           "runs", "rollout"}  # fmt: skip
    assert set(target["rollout"]) == {"namespace", "name", "phase", "step", "weight", "verdict", "stable",
                                      "candidate", "message", "next"}  # fmt: skip


def test_it_reads_one_namespace_or_all() -> None:
    cluster = MemoryCluster()
    for obj in [o for group in objects() for o in group]:
        kept = {
            key: obj["metadata"][key] for key in ("name", "namespace", "labels") if key in obj["metadata"]
        }
        cluster.put({**obj, "metadata": kept})
    assert get.read(cluster, "shop") == get.read(cluster, None) and get.read(cluster, "shop").models
    assert get.read(cluster, "lab") == Tree()
