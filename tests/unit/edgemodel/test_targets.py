"""Targets go their ways side by side; a revision is what was asked for, not what tools did it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.optimize.bench import MAGIKA, Bench
from tests.unit.optimize.models import STORE, TARGET, condition, edgemodel, edit, model_status, played, world
from tests.unit.optimize.world import VNNI, World, node

from edgeramp.api.edgemodel import TargetStatus

NOWHERE: dict[str, Any] = {"name": "npu", "nodeSelector": {"example.com/npu": "true"}}


def line(made: World, name: str) -> TargetStatus:
    return next(TargetStatus.model_validate(t) for t in model_status(made)["targets"] if t["name"] == name)


def test_each_target_gets_a_run_named_after_model_target_and_revision() -> None:
    made = played()
    found = line(made, "vnni")
    (run,) = made.of("OptimizationRun")
    assert run["metadata"]["name"] == f"digits-vnni-{found.revision}" == found.run
    (owner,) = run["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("EdgeModel", "digits", True)
    assert run["metadata"]["labels"]["edgeramp.dev/target"] == "vnni"


def test_the_line_in_status_tells_what_came_out() -> None:
    found = line(played(), "vnni")
    assert (found.phase, found.framework, found.precision) == ("Certified", "openvino", "int8")
    assert (found.speedup, found.retention, found.nodes) == ("2.42x", "0.9985", 1)
    assert found.artifact and found.artifact.startswith("oci://")


def test_without_a_rollout_a_model_is_ready_when_it_is_certified() -> None:
    status = model_status(played())
    assert condition(status, "Ready")["status"] == condition(status, "Optimized")["status"] == "True"
    assert not condition(status, "Promoted")


def test_a_target_without_a_node_stalls_while_the_others_go_on() -> None:
    made = played(targets=[TARGET, NOWHERE])
    stalled = line(made, "npu")
    assert (stalled.phase, stalled.reason) == ("Stalled", "NoMatchingNode")
    assert stalled.message.startswith("no node has the labels example.com/npu=true; resumes when")
    assert line(made, "vnni").phase == "Certified"
    status = model_status(made)
    assert condition(status, "Stalled")["reason"] == "NoMatchingNode"
    assert "npu" in condition(status, "Stalled")["message"]
    assert condition(status, "Ready")["status"] == "False"


def test_it_resumes_when_a_node_comes() -> None:
    made = played(targets=[TARGET, NOWHERE])
    made.nodes.append(node("new", {"example.com/npu": "true"}))
    made.until_idle()
    assert line(made, "npu").phase == "Certified"
    assert not condition(model_status(made), "Stalled")


def test_the_run_explains_every_choice_and_exclusion() -> None:
    (run,) = played().of("OptimizationRun")
    assert any(line.startswith("ort-static-int8: weights and activations") for line in run["spec"]["choices"])
    assert "olive: not built yet" in run["spec"]["exclusions"]


def test_frameworks_that_leave_nothing_to_try_stall_the_target() -> None:
    made = played(source={"uri": f"{STORE}digits:1", "format": "openvino-ir"}, frameworks=["onnxruntime"])
    found = line(made, "vnni")
    assert (found.phase, found.reason) == ("Stalled", "NoFramework")


@pytest.mark.parametrize(
    ("says", "change", "anew"),
    [
        ("another gate", {"gates": {"speedup": "1.5"}}, True),
        ("another objective", {"objective": {"weights": {"latency": 1}}}, True),
        ("another choice of frameworks", {"frameworks": ["openvino"]}, True),
        ("other resources", {"targets": [{**TARGET, "resources": {"cpu": "2", "memory": "1Gi"}}]}, True),
        ("another model", {"source": {"uri": f"{STORE}digits:2"}}, True),
        ("a longer benchmark", {"benchmark": {"budget": "60s"}}, False),
        ("another promotion", {"promotion": "Manual"}, False),
    ],
)
def test_a_revision_is_what_is_to_be_achieved(says: str, change: dict[str, Any], anew: bool) -> None:
    made = played()
    before = line(made, "vnni").revision
    edit(made, **change)
    made.until_idle()
    assert (line(made, "vnni").revision != before) is anew, says


def test_an_upgrade_of_the_tool_images_optimizes_nothing_anew() -> None:
    made = played(bench := Bench())
    jobs = len(bench.seen)
    newer = {name: f"{ref}-next" for name, ref in made.settings.images.items()}
    made.settings = replace(made.settings, images=newer)
    made.until_idle()
    assert len(bench.seen) == jobs and len(made.of("OptimizationRun")) == 1


def test_a_search_for_a_superseded_revision_stops_at_once() -> None:
    made = world()
    while not made.of("OptimizationRun"):
        made.look()
        made.finish_all()
    (old,) = made.of("OptimizationRun")
    edit(made, gates={"speedup": "1.5"})
    made.look()
    assert old["metadata"]["name"] not in [r["metadata"]["name"] for r in made.of("OptimizationRun")]


def test_finished_runs_are_kept_a_while() -> None:
    made = played()
    for number in range(6):
        edit(made, gates={"speedup": f"1.{number}"})
        made.until_idle()
        made.now += 10.0
    assert len(made.of("OptimizationRun")) == 1 + 3


def test_going_back_to_an_old_revision_finds_its_result() -> None:
    made = played(bench := Bench())
    edit(made, gates={"speedup": "1.5"})
    made.until_idle()
    jobs = len(bench.seen)
    edit(made, gates={})
    made.until_idle()
    assert len(bench.seen) == jobs and line(made, "vnni").phase == "Certified"


def test_no_candidate_is_told_with_the_table() -> None:
    made = played(Bench(MAGIKA))
    found = line(made, "vnni")
    assert (found.phase, found.reason) == ("NoCandidate", "NoCandidate")
    assert "ov-accuracy-control-int8: speedup Fail: 1.80x" in found.message
    status = model_status(made)
    assert (condition(status, "Ready")["reason"], status["phase"]) == ("NoCandidate", "NoCandidate")
    assert condition(status, "Optimized")["status"] == "False"


def test_a_deleted_run_is_made_again() -> None:
    made = played()
    (run,) = made.of("OptimizationRun")
    del made.objects["OptimizationRun", run["metadata"]["name"]]
    made.until_idle()
    assert line(made, "vnni").phase == "Certified"


def test_candidates_are_for_what_all_nodes_of_a_target_promise() -> None:
    bf16 = "feature.node.kubernetes.io/cpu-cpuid.AVX512BF16"
    made = world()
    made.nodes = [node("a", {VNNI: "true", bf16: "true"}), node("b", {VNNI: "true"})]
    made.objects["EdgeModel", "digits"] = edgemodel()
    made.until_idle()
    (run,) = made.of("OptimizationRun")
    assert "ov-bf16" not in [c["id"] for c in run["spec"]["candidates"]]


def test_the_phase_tells_the_worst_that_somebody_must_look_at() -> None:
    made = played(targets=[TARGET, NOWHERE])
    assert model_status(made)["phase"] == "Stalled"
    assert model_status(played())["phase"] == "Certified"


def test_events_are_few_and_telling() -> None:
    made = played(targets=[TARGET, NOWHERE])
    told = [(e.type, e.reason) for name, e in made.events if name == "digits"]
    assert told == [
        ("Normal", "Staged"),
        ("Normal", "Assessed"),
        ("Normal", "Optimizing"),
        ("Warning", "NoMatchingNode"),
        ("Normal", "Certified"),
    ]


def test_the_message_is_one_short_sentence_about_what_the_phase_is_about() -> None:
    made = played(targets=[TARGET, NOWHERE])
    assert model_status(made)["message"] == "npu: Stalled (NoMatchingNode); 1 of 2 targets certified"
    assert model_status(played())["message"] == "vnni: Certified (openvino int8 2.42x)"
