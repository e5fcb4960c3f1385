"""Checks with fixed thresholds in a ramp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.support.world import World, artifact, healthy, spec_of

TIME_ALONE = {"enabled": False}
PROMETHEUS = {"prometheus": {"address": "http://prometheus.monitoring:9090", "query": "up"}}
RATE = {"name": "rate", **PROMETHEUS, "successCondition": "result >= 0.95"}
INLINE = [{"setWeight": 20}, {"check": "rate"}, {"setWeight": 50}]


def ramping(
    checks: list[dict[str, Any]], steps: list[dict[str, Any]], **answers: Callable[[float], Any]
) -> World:
    world = healthy(
        spec_of("A", strategy={"steps": steps, "checks": checks, "analysis": TIME_ALONE}), rps=5.0
    )
    world.results.update(answers)
    world.set_artifact("B")
    return world


def record(world: World, name: str = "rate") -> dict[str, Any]:
    ramp = world.status.get("ramp") or world.status["promotedRamp"]
    return next(dict(r) for r in ramp["checks"] if r["name"] == name)


def test_a_step_with_a_check_is_left_when_it_has_passed() -> None:
    world = ramping([RATE | {"interval": "30s", "count": 3}], INLINE, rate=lambda _: [0.99])
    world.run(40)
    assert (world.weight("B"), world.condition("Progressing")) == (20, ("True", "CheckRunning"))
    assert "A fixed threshold, without a guarantee." in world.status["message"]
    world.run(120)
    assert world.phase == "Healthy"
    assert (record(world)["verdict"], record(world)["successful"]) == ("Pass", 3)


def test_case_32_a_failing_check_aborts_and_its_measurements_are_kept_as_evidence() -> None:
    world = ramping(
        [RATE | {"interval": "10s", "failureLimit": 1}],
        [{"setWeight": 20}, {"pause": {}}],
        rate=lambda _: [0.91],
    )
    world.run(60)
    assert (world.phase, world.weight("B")) == ("Degraded", 0)
    assert world.condition("Ready") == ("False", "CheckFailed")
    assert [(m["outcome"], m["value"]) for m in record(world)["measurements"]] == [("Failed", "[0.91]")] * 2
    assert world.status["message"] == (
        "Rolled back: check rate: Fail, 0 successful measurements, every 10s until the ramp ends, 2 failed (failureLimit 1), 0"
        " inconclusive (0), 0 errors in a row (4); last: Failed [0.91], success is result >= 0.95. A fixed threshold,"
        " without a guarantee."
    )


def test_case_33_a_background_check_starts_at_its_step_and_ends_with_its_true_verdict() -> None:
    check = RATE | {"interval": "10s", "startingStep": 2}
    steps = [
        {"setWeight": 20},
        {"pause": {"duration": "60s"}},
        {"setWeight": 50},
        {"pause": {"duration": "60s"}},
    ]
    world = ramping([check], steps, rate=lambda _: [0.99])
    world.run(50)
    assert world.status["ramp"]["checks"] == []
    world.run(30)
    assert record(world)["step"] == 2
    world.run(120)
    assert world.phase == "Healthy" and record(world)["verdict"] == "Pass"


def test_case_34_a_check_that_never_finished_is_inconclusive_never_pass() -> None:
    world = ramping([RATE | {"interval": "60s", "count": 5}], INLINE, rate=lambda _: [0.99])
    world.run(10)
    world.annotate("promote")
    world.run(60)
    assert world.phase == "Healthy" and record(world)["verdict"] == "Inconclusive"


def test_case_36_an_inconclusive_check_pauses_and_a_persons_continue_does_not_loop() -> None:
    check = RATE | {"interval": "20s", "failureCondition": "result < 0.9"}
    world = ramping([check], [{"setWeight": 20}, {"setWeight": 50}, {"pause": {}}], rate=lambda _: [0.92])
    world.run(10)
    assert (world.phase, world.condition("Paused")) == ("Paused", ("True", "Inconclusive"))
    world.results["rate"] = lambda _: [0.99]
    world.annotate("promote")
    world.run(30)
    assert (world.weight("B"), world.condition("Paused")) == (50, ("True", "PauseStep"))


@pytest.mark.parametrize("nothing", [[], [float("nan")], [float("inf")], None])
def test_case_37_no_data_neither_aborts_nor_advances_and_resumes_with_data(nothing: Any) -> None:
    world = ramping([RATE | {"interval": "10s", "count": 1}], INLINE, rate=lambda _: nothing)
    world.run(120)
    assert (world.weight("B"), record(world)["verdict"]) == (20, "AwaitingEvidence")
    assert record(world)["noData"] > 3 and record(world)["failed"] == 0
    world.results["rate"] = lambda _: [1.0]
    world.run(60)
    assert world.phase == "Healthy"


def test_case_38_a_source_that_is_down_holds_and_goes_on_when_it_is_back() -> None:
    world = ramping(
        [RATE | {"interval": "10s", "count": 1, "consecutiveErrorLimit": 2}],
        INLINE,
        rate=lambda _: "no answer",
    )
    world.run(60)
    assert (world.weight("B"), record(world)["verdict"]) == (20, "Error")
    assert world.condition("Progressing") == ("True", "EvidenceUnavailable")
    assert world.events.count("EvidenceUnavailable") == 1
    world.results["rate"] = lambda _: [1.0]
    world.run(60)
    assert world.phase == "Healthy"


def test_case_39_the_step_waits_for_all_that_is_required() -> None:
    other = {"name": "other", **PROMETHEUS, "interval": "30s"}
    slow = RATE | {"interval": "20s", "count": 2}
    world = ramping(
        [slow, other], INLINE, rate=lambda _: [1.0], other=lambda at: "away" if at < 1_800_000_120 else [1]
    )
    world.run(50)
    assert world.weight("B") == 20
    world.run(120)
    assert world.phase == "Healthy" and {record(world)["verdict"], record(world, "other")["verdict"]} == {
        "Pass"
    }


def test_case_40_an_unknown_provider_moves_no_traffic_and_mending_it_is_enough() -> None:
    unknown = {"name": "rate", "datadog": {"query": "errors"}, "successCondition": "result < 0.05"}
    world = healthy(spec_of("A"), results={"rate": lambda _: [0.99]})
    world.rollout["spec"] |= {
        "artifact": artifact("B"),
        "strategy": {"steps": [{"setWeight": 20}], "checks": [unknown]},
    }
    world.run(60)
    assert world.weight("A") == 100
    assert world.condition("Stalled") == ("True", "InvalidSpec")
    assert "exactly one of prometheus, web and job" in world.status["message"]
    world.edit(strategy={"steps": [{"setWeight": 20}], "checks": [RATE], "analysis": TIME_ALONE})
    world.run(120)
    assert (world.weight("B"), world.phase) == (100, "Healthy")


def test_case_41_a_dry_run_is_reported_without_effect() -> None:
    world = ramping([RATE | {"dryRun": True}], [{"setWeight": 20}], rate=lambda _: [0.1])
    world.run(90)
    assert world.phase == "Healthy"
    assert record(world)["verdict"] == "Fail" and "dry run: no effect" in record(world)["message"]


JOB = {"name": "rate", "job": {"image": "registry/smoke:1", "args": ["--quick"]}}


def _job(world: World) -> dict[str, Any]:
    (found,) = [o for (kind, _), o in world.objects.items() if kind == "Job"]
    return found


@pytest.mark.parametrize(("condition", "reason", "phase", "verdict"), [
    ("Complete", "", "Healthy", "Pass"), ("Failed", "BackoffLimitExceeded", "Degraded", "Fail"),
    ("Failed", "DeadlineExceeded", "Paused", "Inconclusive"),
])  # fmt: skip
def test_a_jobs_end_is_the_verdict(condition: str, reason: str, phase: str, verdict: str) -> None:
    world = ramping([JOB], INLINE)
    world.run(20)
    job = _job(world)
    assert job["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    job["status"] = {"conditions": [{"type": condition, "status": "True", "reason": reason}]}
    world.look()
    world.run(90)
    assert (world.phase, record(world)["verdict"]) == (phase, verdict)
    assert len([1 for kind, _ in world.objects if kind == "Job"]) == 1


def test_case_35_a_job_that_cannot_start_pauses_with_that_reason() -> None:
    world = ramping([JOB], INLINE)
    world.run(20)
    name = _job(world)["metadata"]["name"]
    world.objects["Pod", "p"] = {
        "kind": "Pod", "metadata": {"name": "p", "labels": {"batch.kubernetes.io/job-name": name}},
        "status": {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]},
    }  # fmt: skip
    world.run(120)
    assert (world.phase, world.condition("Paused")) == ("Paused", ("True", "Inconclusive"))
    assert "the Job cannot start: ImagePullBackOff" in world.status["message"]
    assert world.weight("B") == 20


def test_promoted_in_full_starts_no_check() -> None:
    world = ramping(
        [RATE | {"startingStep": 0, "interval": "10s"}],
        [{"setWeight": 20}, {"pause": {}}],
        rate=lambda _: [1.0],
    )
    world.run(5)
    world.annotate("promote-full")
    world.results["rate"] = lambda _: [0.0]
    world.run(90)
    assert world.phase == "Healthy"


def test_the_first_revision_is_not_checked() -> None:
    world = World(spec_of("A", strategy={"steps": [], "checks": [RATE]}))
    world.run(60)
    assert world.phase == "Healthy" and "promotedRamp" not in world.status
