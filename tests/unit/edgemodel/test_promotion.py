"""From a certified winner to traffic: approval, the baseline first, and what the Rollout answers."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.edgemodel.test_targets import NOWHERE, line
from tests.unit.optimize.bench import MAGIKA, Bench
from tests.unit.optimize.models import ROUTE, STORE, TARGET, condition, edit, model_status, played
from tests.unit.optimize.world import World

from edgeramp.values.names import ANNOTATION_APPROVE

NAME = "digits-vnni"


def rollout(made: World) -> dict[str, Any]:
    return made.get("Rollout", NAME)


def answer(made: World, ready: bool = True, **status: Any) -> None:
    """The Rollout's controller has done its work on the artifact of its spec."""
    have = rollout(made)
    said = {
        "type": "Ready",
        "status": str(ready),
        "reason": "Healthy" if ready else "Ramping",
        "message": "",
        "observedGeneration": have["metadata"]["generation"],
        "lastTransitionTime": "2026-11-23T00:00:00Z",
    }
    served = {
        "artifact": have["spec"]["artifact"],
        "revision": "abc",
        "framework": "openvino",
        "precision": "int8",
    }
    stable = {"stable": served} if ready else {}
    made.objects["Rollout", NAME] = {
        **have,
        "status": {"conditions": [said], "weight": 100, **stable, **status},
    }


def approve(made: World, value: str) -> None:
    meta = made.get("EdgeModel", "digits")["metadata"]
    meta["annotations"] = {ANNOTATION_APPROVE: value}


def test_the_winner_goes_to_a_rollout_under_the_name_of_its_target() -> None:
    made = played(rollout={"route": ROUTE, "replicas": 2})
    spec = rollout(made)["spec"]
    assert spec["artifact"] == line(made, "vnni").artifact
    assert spec["route"]["hostnames"] == ["vnni.digits.example"]
    assert spec["server"] == {"framework": "openvino", "precision": "int8", "modelName": "digits"}
    assert spec["replicas"] == 2 and "allowUncertified" not in spec
    (owner,) = rollout(made)["metadata"]["ownerReferences"]
    assert owner["kind"] == "EdgeModel"


def test_without_replicas_the_scale_belongs_to_an_autoscaler() -> None:
    made = played(rollout={"route": ROUTE})
    assert "replicas" not in rollout(made)["spec"]
    made.objects["Rollout", rollout(made)["metadata"]["name"]]["spec"]["replicas"] = 5
    made.until_idle()
    assert rollout(made)["spec"]["replicas"] == 5


def test_preview_host_names_are_prefixed_by_the_target_too() -> None:
    strategy = {"blueGreen": {"previewHostnames": ["preview.digits.example"]}}
    made = played(rollout={"route": ROUTE, "strategy": strategy})
    assert rollout(made)["spec"]["strategy"]["blueGreen"]["previewHostnames"] == [
        "vnni.preview.digits.example"
    ]


def test_a_rollout_that_serves_the_winner_makes_the_model_ready() -> None:
    made = played(rollout={"route": ROUTE})
    assert line(made, "vnni").phase == "RollingOut"
    answer(made)
    made.until_idle()
    assert (line(made, "vnni").phase, line(made, "vnni").weight) == ("Promoted", 100)
    status = model_status(made)
    assert (condition(status, "Ready")["status"], status["phase"]) == ("True", "Ready")
    assert condition(status, "Promoted")["status"] == "True"
    stage = line(made, "vnni").stages[-1]
    assert (stage.name, stage.status) == ("production validation", "Promoted")


def test_a_rollout_that_has_not_seen_its_new_spec_is_not_believed() -> None:
    made = played(rollout={"route": ROUTE})
    answer(made)
    rollout(made)["metadata"]["generation"] += 1
    made.look()
    assert line(made, "vnni").phase == "RollingOut"


def test_a_rollback_is_told_with_its_reason_and_nothing_is_applied_anew() -> None:
    made = played(rollout={"route": ROUTE})
    ramp = {
        "revision": "abc", "startedAt": 1.0, "stepStartedAt": 1.0, "progressedAt": 1.0, "abortedAt": 2.0,
        "abortReason": "ErrorsAboveTolerance", "abortMessage": "20 % errors",
    }  # fmt: skip
    answer(made, ready=False, ramp=ramp)
    before = rollout(made)
    made.until_idle()
    found = line(made, "vnni")
    assert (found.phase, found.reason, found.message) == ("RolledBack", "ErrorsAboveTolerance", "20 % errors")
    assert rollout(made) == before
    assert model_status(made)["phase"] == "RolledBack"
    assert any(e.type == "Warning" and e.reason == "RolledBack" for _, e in made.events)


# baseline first


def test_with_start_baseline_the_original_model_is_served_first() -> None:
    made = played(rollout={"route": ROUTE, "start": "Baseline"})
    spec = rollout(made)["spec"]
    assert spec["artifact"] == line(made, "vnni").baseline_artifact
    assert spec["server"]["precision"] == "f32"
    assert spec["allowUncertified"]["reason"] == "baseline: the original model"


def test_when_the_baseline_serves_the_winner_goes_out_certified() -> None:
    made = played(rollout={"route": ROUTE, "start": "Baseline"})
    answer(made)
    made.until_idle()
    spec = rollout(made)["spec"]
    assert spec["artifact"] == line(made, "vnni").artifact and "allowUncertified" not in spec
    assert line(made, "vnni").phase == "RollingOut"
    answer(made)
    made.until_idle()
    assert line(made, "vnni").phase == "Promoted"


def test_a_baseline_that_is_not_healthy_yet_stays_the_artifact() -> None:
    made = played(rollout={"route": ROUTE, "start": "Baseline"})
    answer(made, ready=False)
    made.until_idle()
    assert rollout(made)["spec"]["artifact"] == line(made, "vnni").baseline_artifact


def test_the_next_revision_ramps_against_what_serves_not_against_a_baseline() -> None:
    made = played(rollout={"route": ROUTE, "start": "Baseline"})
    for _ in range(2):
        answer(made)
        made.until_idle()
    first = rollout(made)["spec"]["artifact"]
    edit(made, source={"uri": f"{STORE}digits:2"})
    made.until_idle()
    spec = rollout(made)["spec"]
    assert spec["artifact"] not in (first, line(made, "vnni").baseline_artifact)
    assert spec["artifact"] == line(made, "vnni").artifact


def test_where_fp32_itself_wins_there_is_no_baseline_to_begin_with() -> None:
    lenient = {"speedReference": "SourceF32", "speedup": "1.2", "memoryReduction": "0.0"}
    wish = {"weights": {"latency": 0, "memory": 0, "accuracy": 100}}
    made = played(rollout={"route": ROUTE, "start": "Baseline"}, gates=lenient, objective=wish)
    assert made.run().status.winner and made.run().status.winner.candidate in ("ov-f32", "ort-static-int8")


# what serves stays


def test_no_candidate_leaves_the_serving_revision_alone() -> None:
    made = played(bench := Bench(), rollout={"route": ROUTE})
    answer(made)
    made.until_idle()
    before = rollout(made)
    bench.figures = MAGIKA
    edit(made, source={"uri": f"{STORE}digits:2"})
    made.until_idle()
    assert rollout(made) == before
    assert (line(made, "vnni").phase, line(made, "vnni").weight) == ("NoCandidate", 100)


def test_while_a_new_revision_is_optimized_the_old_one_serves() -> None:
    made = played(rollout={"route": ROUTE})
    answer(made)
    made.until_idle()
    before = rollout(made)["spec"]
    edit(made, source={"uri": f"{STORE}digits:2"})
    for _ in range(6):
        made.look()
        assert rollout(made)["spec"] == before
        made.finish_all()
    made.until_idle()
    assert rollout(made)["spec"] != before


def test_a_target_that_is_gone_from_the_spec_takes_its_rollout_along() -> None:
    made = played(rollout={"route": ROUTE})
    edit(made, targets=[NOWHERE])
    made.until_idle()
    assert not made.of("Rollout")


# approval


def test_manual_promotion_waits_and_says_how_to_approve() -> None:
    made = played(rollout={"route": ROUTE}, promotion="Manual")
    found = line(made, "vnni")
    assert found.phase == "AwaitingApproval" and not made.of("Rollout")
    assert f"{ANNOTATION_APPROVE}={found.revision}" in found.message


@pytest.mark.parametrize("whose", ["target", "model"])
def test_an_approval_is_recorded_cleared_and_acted_on(whose: str) -> None:
    made = played(rollout={"route": ROUTE}, promotion="Manual")
    revision = line(made, "vnni").revision if whose == "target" else model_status(made)["revision"]
    approve(made, revision)
    made.until_idle()
    assert rollout(made)["spec"]["artifact"] == line(made, "vnni").artifact
    (record,) = model_status(made)["verbs"]
    assert (record["verb"], record["value"], record["accepted"]) == ("approve", revision, True)
    assert not made.get("EdgeModel", "digits")["metadata"]["annotations"]
    made.until_idle()
    assert made.of("Rollout"), "the record counts after the annotation is gone"


def test_an_approval_of_something_else_is_refused_on_record() -> None:
    made = played(rollout={"route": ROUTE}, promotion="Manual")
    approve(made, "0123456789")
    made.until_idle()
    (record,) = model_status(made)["verbs"]
    assert record["accepted"] is False and "no such revision" in record["message"]
    assert not made.of("Rollout")
    assert any(e.reason == "ApproveRefused" for _, e in made.events)


def test_an_approval_may_come_before_the_run_has_ended() -> None:
    made = played(rollout={"route": ROUTE}, promotion="Manual", targets=[TARGET, NOWHERE])
    approve(made, f"{line(made, 'npu').revision}, {line(made, 'vnni').revision}")
    made.until_idle()
    assert [r["accepted"] for r in model_status(made)["verbs"]] == [True, True]
    assert made.of("Rollout")


def test_a_new_revision_needs_an_approval_of_its_own() -> None:
    made = played(rollout={"route": ROUTE}, promotion="Manual")
    approve(made, line(made, "vnni").revision)
    made.until_idle()
    answer(made)
    made.until_idle()
    before = rollout(made)["spec"]
    edit(made, source={"uri": f"{STORE}digits:2"})
    made.until_idle()
    assert line(made, "vnni").phase == "AwaitingApproval" and rollout(made)["spec"] == before
