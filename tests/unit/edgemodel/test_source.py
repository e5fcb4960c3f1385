"""Staging and assessing: once per set of sources; a failure says why and touches nothing that serves."""

from __future__ import annotations

import pytest
from tests.unit.optimize.bench import Bench
from tests.unit.optimize.models import STORE, condition, edit, model_status, played, world
from tests.unit.optimize.world import Ending, failed

from edgeramp.decide.edgemodel.source import SLOW_RETRY_SECONDS


def verbs(bench: Bench) -> list[str]:
    return [verb for verb, _, _ in bench.seen if verb in ("stage", "assess")]


def test_a_source_is_staged_and_assessed_once() -> None:
    made = played(bench := Bench())
    made.now += 1e5
    made.look()
    assert verbs(bench) == ["stage", "assess"]
    status = model_status(made)
    assert condition(status, "SourceReady")["status"] == condition(status, "Assessed")["status"] == "True"
    assert "250,000 parameters" in condition(status, "Assessed")["message"]


def test_data_that_may_not_decide_is_told_before_anything_is_measured() -> None:
    made = played(Bench(items=40))
    found = condition(model_status(made), "Admitted")
    assert (found["status"], found["reason"]) == ("True", "DataMayNotDecide")
    assert "selection 40 of about 135" in found["message"]
    assert any((e.type, e.reason) == ("Warning", "DataMayNotDecide") for _, e in made.events)
    assert condition(model_status(played()), "Admitted")["reason"] == "EnoughData"


def test_an_edit_that_leaves_the_sources_alone_stages_nothing() -> None:
    made = played(bench := Bench())
    edit(made, gates={"speedup": "1.5"})
    made.until_idle()
    assert verbs(bench) == ["stage", "assess"]
    assert len(made.of("OptimizationRun")) == 2


def test_another_source_is_staged_anew() -> None:
    made = played(bench := Bench())
    edit(made, source={"uri": f"{STORE}digits:2"})
    made.until_idle()
    assert verbs(bench) == ["stage", "assess"] * 2


@pytest.mark.parametrize(
    ("verb", "ending", "kind", "reason"),
    [
        ("stage", failed(11, "DigestMismatch", "another digest"), "SourceReady", "DigestMismatch"),
        ("stage", failed(10, "SourceForbidden", "401"), "SourceReady", "SourceForbidden"),
        ("stage", failed(12, "PickleRefused", "a pickle"), "SourceReady", "PickleRefused"),
        ("assess", failed(12, "CorruptModel", "not an ONNX file"), "Assessed", "CorruptModel"),
        ("assess", failed(10, "SplitOverlap", "12 items"), "Assessed", "SplitOverlap"),
        ("assess", failed(12, "UnsupportedModel", "opset 3"), "Assessed", "UnsupportedModel"),
    ],
)
def test_bad_input_is_told_by_its_reason_and_is_not_tried_again(
    verb: str, ending: Ending, kind: str, reason: str
) -> None:
    made = played(bench := Bench(endings={(verb, ""): [ending]}))
    status = model_status(made)
    assert (condition(status, kind)["status"], condition(status, kind)["reason"]) == ("False", reason)
    assert condition(status, "Ready")["reason"] == condition(status, "Stalled")["reason"] == reason
    assert "Change spec, or annotate edgeramp.dev/retry=now" in condition(status, "Ready")["message"]
    assert status["phase"] == "SourceFailed"
    made.now += 1e6
    made.until_idle()
    assert verbs(bench).count(verb) == 1
    assert not made.of("OptimizationRun")


def test_a_corrected_spec_starts_anew() -> None:
    bench = Bench(endings={("stage", ""): [failed(11, "DigestMismatch")]})
    made = played(bench)
    bench.endings.clear()
    edit(made, source={"uri": f"{STORE}digits:2"})
    made.until_idle()
    status = model_status(made)
    assert condition(status, "SourceReady")["status"] == "True" and not condition(status, "Stalled")


def test_a_transient_failure_is_tried_again_with_growing_pauses() -> None:
    away = failed(20, "SourceUnavailable", "connection refused")
    made = world(bench := Bench(endings={("stage", ""): [away, away, away, None]}))
    made.look()
    begun = made.now
    made.until_idle()
    assert verbs(bench) == ["stage"] * 4 + ["assess"]
    assert made.now - begun > 10 + 20 + 40
    assert condition(model_status(made), "SourceReady")["status"] == "True"


def test_while_a_source_is_away_the_condition_says_so_and_nothing_stalls() -> None:
    made = world(Bench(endings={("stage", ""): [failed(20, "SourceUnavailable", "connection refused")]}))
    made.look()
    made.finish_all()
    made.look()
    status = model_status(made)
    assert condition(status, "SourceReady")["reason"] == "SourceUnavailable"
    assert "tried again by itself" in condition(status, "Ready")["message"]
    assert condition(status, "Reconciling")["status"] == "True" and not condition(status, "Stalled")


def test_a_source_that_does_not_exist_is_looked_for_again_every_few_minutes() -> None:
    missing = failed(10, "SourceNotFound", "oci://… does not exist")
    made = world(bench := Bench(endings={("stage", ""): [missing, missing, None]}))
    made.look()
    made.finish_all()
    made.look()
    assert condition(model_status(made), "Stalled")["reason"] == "SourceNotFound"
    begun = made.now
    made.until_idle()
    assert verbs(bench) == ["stage"] * 3 + ["assess"]
    assert made.now - begun >= 2 * SLOW_RETRY_SECONDS


def test_what_serves_is_not_touched_by_a_bad_source() -> None:
    made = played(
        bench := Bench(), rollout={"route": {"gatewayRef": {"name": "e"}, "hostnames": ["d.example"]}}
    )
    before = made.get("Rollout", "digits-vnni")
    bench.endings["assess", ""] = [failed(12, "CorruptModel")]
    edit(made, source={"uri": f"{STORE}digits:2"})
    made.until_idle()
    assert made.get("Rollout", "digits-vnni") == before
    assert len(made.of("OptimizationRun")) == 1
    assert condition(model_status(made), "Assessed")["reason"] == "CorruptModel"


def test_a_job_for_sources_that_nobody_wants_any_more_is_stopped() -> None:
    made = world()
    made.look()
    (old,) = made.running()
    edit(made, source={"uri": f"{STORE}digits:2"})
    made.look()
    assert old["metadata"]["name"] not in [j["metadata"]["name"] for j in made.of("Job")]
    made.until_idle()
    assert condition(model_status(made), "SourceReady")["status"] == "True"


def test_a_spec_that_this_operator_cannot_read_stalls_and_keeps_the_facts() -> None:
    made = played()
    staged = model_status(made)["staged"]
    made.get("EdgeModel", "digits")["spec"]["task"] = "mind-reading"
    decision = made.decide("EdgeModel", "digits")
    status = decision.status.wire()
    assert condition(status, "Stalled")["reason"] == "InvalidSpec" and status["staged"] == staged
    assert not decision.actions


def test_a_pod_that_finds_no_room_says_so_meanwhile() -> None:
    made = world()
    made.look()
    (job,) = made.running()
    job["pod"] = {"state": {"waiting": {"reason": "CreateContainerConfigError", "message": "no such Secret"}}}
    made.look()
    assert (
        "the pod waits: CreateContainerConfigError no such Secret"
        in condition(model_status(made), "Ready")["message"]
    )


def test_a_model_that_is_being_deleted_gets_nothing_new() -> None:
    made = played(rollout={"route": {"gatewayRef": {"name": "e"}, "hostnames": ["d.example"]}})
    made.get("EdgeModel", "digits")["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z"
    del made.objects["Rollout", "digits-vnni"]
    made.until_idle()
    assert not made.of("Rollout")


def test_an_image_that_the_chart_does_not_name_is_told() -> None:
    made = world()
    made.settings = made.settings.__class__(images={})
    made.look()
    assert condition(model_status(made), "Stalled")["reason"] == "ImageNotConfigured"
    assert "images.courier" in condition(model_status(made), "Stalled")["message"]
