"""The acceptance cases of the ramp, by number, in the simulated world: A and B are artifacts, A serves at the start."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.world import Behaviour, World, healthy, spec_of

from edgeramp.decide.seen import Admission
from edgeramp.render.route import split_of

CERTIFICATE = f"sha256:{'c' * 64}"
NO_ANALYSIS: dict[str, Any] = {"enabled": False}
WIDE: dict[str, Any] = {
    "falsePromotion": "0.2",
    "errors": {"userBudget": "0.02"},
    "latency": {"promoteSlower": "0.7"},
}


def spec(*steps: dict[str, Any], analysis: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    chosen = list(steps) or [{"setWeight": 25}, {"setWeight": 50}]
    return spec_of("A", strategy={"steps": chosen, "analysis": analysis or WIDE}, **changes)


def manual(*weights: int, **changes: Any) -> dict[str, Any]:
    """Steps that each wait for a person; no analysis."""
    steps = [step for w in weights for step in ({"setWeight": w}, {"pause": {}})]
    return spec(*steps, analysis=NO_ANALYSIS, **changes)


def outcomes(world: World) -> list[tuple[str, str]]:
    return [(world.name(h["revision"]), h["outcome"]) for h in world.status.get("history", [])]


def verbs(world: World) -> list[tuple[str, bool]]:
    return [(v["verb"], v["accepted"]) for v in world.status.get("verbs", [])]


def test_case_01_first_apply_goes_straight_to_100_without_steps_or_analysis() -> None:
    world = World(spec()).run(10)
    assert (world.phase, world.weight("A"), outcomes(world)) == ("Healthy", 100, [("A", "Promoted")])
    assert world.condition("Ready") == ("True", "Healthy")
    assert world.status.get("verdict") is None


def test_case_02_new_digest_gets_the_first_steps_weight_and_weights_sum_to_100() -> None:
    world = healthy(spec())
    world.set_artifact("B")
    world.run(5)
    assert (world.phase, world.weight("A"), world.weight("B")) == ("Progressing", 75, 25)


def test_case_03_a_timed_pause_advances_alone_an_indefinite_one_stays() -> None:
    steps = ({"setWeight": 10}, {"pause": {"duration": "60s"}}, {"setWeight": 20}, {"pause": {}})
    world = healthy(spec(*steps, analysis=NO_ANALYSIS))
    world.set_artifact("B")
    world.run(61)
    assert (world.phase, world.weight("B")) == ("Paused", 10)
    world.run(4)
    assert world.weight("B") == 20
    world.rps = 0
    world.run(86400)
    assert (world.phase, world.weight("B")) == ("Paused", 20)
    world.annotate("promote")
    world.run(40)
    assert (world.phase, world.weight("B")) == ("Healthy", 100)


@pytest.mark.parametrize("pause", [{"duration": "600s"}, {}, None], ids=["timed", "indefinite", "analysis"])
def test_case_04_promote_goes_exactly_one_step_further(pause: dict[str, Any] | None) -> None:
    steps = [
        {"setWeight": 5},
        *([{"pause": pause}] if pause is not None else []),
        {"setWeight": 20},
        {"setWeight": 50},
    ]
    world = healthy(spec(*steps))
    world.set_artifact("B")
    world.run(8)
    world.annotate("promote")
    world.run(3)
    assert world.weight("B") == 20
    assert verbs(world) == [("promote", True)]
    assert not world.rollout["metadata"]["annotations"]


def test_case_05_promote_in_full_at_any_step_ends_fast_promoted() -> None:
    world = healthy(spec())
    world.set_artifact("B")
    world.run(5)
    world.annotate("promote-full")
    world.run(10)
    assert (world.phase, world.weight("B"), outcomes(world)[-1]) == ("Healthy", 100, ("B", "FastPromoted"))


def test_case_06_two_quick_promotes_do_not_skip_a_step() -> None:
    world = healthy(manual(10, 20, 30))
    world.set_artifact("B")
    world.run(5)
    value = f"{world.revision('B')}/{world.status['ramp']['step'] + 1}"
    world.annotate("promote", value)
    world.look()
    world.annotate("promote", value)
    world.run(5)
    assert world.weight("B") == 20
    assert verbs(world) == [("promote", True)]


def test_case_06_a_stale_promote_is_refused_with_the_present_step() -> None:
    world = healthy(manual(10, 20, 30))
    world.set_artifact("B")
    world.run(5)
    world.annotate("promote", f"{world.revision('B')}/1")
    world.run(5)
    assert world.weight("B") == 10
    assert verbs(world) == [("promote", False)]
    assert "step 2 now" in world.status["verbs"][0]["message"]


def test_case_06_a_promote_of_the_attempt_before_is_no_excuse_for_a_stale_one() -> None:
    world = healthy(manual(10, 20, 30))
    world.set_artifact("B")
    world.run(5)
    for verb in ("promote", "promote", "abort", "retry"):
        world.annotate(verb)
        world.run(5)
    assert [accepted for _, accepted in verbs(world)] == [True] * 4
    world.annotate("promote", f"{world.revision('B')}/4")
    world.run(5)
    assert verbs(world)[-1] == ("promote", False)
    assert world.weight("B") == 10


def test_case_07_paused_freezes_weights_conditions_and_the_progress_deadline() -> None:
    world = healthy(spec(progressDeadlineSeconds=60), behaviours={"B": Behaviour(ready_after=5000)}, rps=0)
    world.set_artifact("B")
    world.run(30)
    world.edit(paused=True)
    world.run(10)
    before = world.status["conditions"]
    world.run(3600)
    assert [(c["type"], c["status"], c["lastTransitionTime"]) for c in world.status["conditions"]] == [
        (c["type"], c["status"], c["lastTransitionTime"]) for c in before
    ]
    world.edit(paused=False)
    world.run(29)
    assert world.phase == "Progressing"
    world.run(5)
    assert (world.phase, world.condition("Stalled")) == ("Degraded", ("True", "ProgressDeadlineExceeded"))


def test_case_08_replicas_change_while_paused_scales_both_and_starts_nothing() -> None:
    world = healthy(manual(50, replicas=2))
    world.set_artifact("B")
    world.run(5)
    world.edit(paused=True)
    world.edit(replicas=4)
    world.run(10)
    assert (world.replicas("A"), world.replicas("B"), world.weight("B")) == (4, 2, 50)
    assert outcomes(world) == [("A", "Promoted")]


def test_case_08_scaling_at_rest_starts_nothing() -> None:
    world = healthy(spec())
    world.edit(replicas=3)
    world.run(20)
    assert (world.replicas("A"), world.phase, world.status.get("ramp")) == (3, "Healthy", None)


def test_case_09_artifact_and_replicas_in_one_apply_are_both_honoured() -> None:
    world = healthy(manual(50))
    world.set_artifact("B")
    world.edit(replicas=4)
    world.run(10)
    assert (world.replicas("A"), world.replicas("B"), world.weight("B")) == (4, 2, 50)


def test_case_10_a_step_that_lowers_the_weight_keeps_the_replicas() -> None:
    steps = ({"setWeight": 75}, {"pause": {}}, {"setWeight": 25}, {"pause": {}})
    world = healthy(spec(*steps, analysis=NO_ANALYSIS, replicas=4))
    world.set_artifact("B")
    world.run(10)
    world.annotate("promote")
    world.run(10)
    assert (world.weight("B"), world.replicas("A"), world.replicas("B")) == (25, 4, 3)


def test_case_11_at_weight_0_no_request_reaches_the_candidate() -> None:
    world = healthy(manual(0))
    world.set_artifact("B")
    world.run(60)
    assert (world.phase, world.weight("B"), world.failed_by.get("B")) == ("Paused", 0, None)


def test_case_12_no_request_fails_in_a_whole_healthy_rollout() -> None:
    world = healthy(spec(), behaviours={"A": Behaviour(errors=0), "B": Behaviour(errors=0)})
    world.set_artifact("B")
    world.run(300)
    assert (world.phase, world.failed_by) == ("Healthy", {"A": 0, "B": 0})


def test_case_15_abort_takes_all_traffic_away_in_one_look_and_the_pods_later() -> None:
    world = healthy(manual(25, abortScaleDownDelaySeconds=40))
    world.set_artifact("B")
    world.run(5)
    world.annotate("abort")
    world.look()
    assert (world.weight("A"), world.weight("B")) == (100, 0)
    assert (world.phase, world.condition("Stalled")) == ("Degraded", ("True", "Aborted"))
    world.run(39)
    assert world.replicas("B") == 1
    world.run(2)
    assert world.replicas("B") == 0


def test_case_16_with_a_delay_of_0_the_candidate_is_kept_at_weight_0() -> None:
    world = healthy(manual(25, abortScaleDownDelaySeconds=0))
    world.set_artifact("B")
    world.run(5)
    world.annotate("abort")
    world.rps = 0
    world.run(86400)
    assert (world.weight("B"), world.replicas("B")) == (0, 1)


def test_case_17_an_abort_moves_no_traffic_before_stable_is_ready() -> None:
    world = healthy(manual(25), behaviours={"A": Behaviour(crash_after=70), "B": Behaviour()})
    world.set_artifact("B")
    world.run(14)
    assert not world.answers(world.revision("A"))
    world.annotate("abort")
    world.run(5)
    assert (world.phase, world.weight("B")) == ("Degraded", 25)
    assert "when a replica of" in world.status["next"]
    world.run(30)
    assert (world.weight("A"), world.weight("B")) == (100, 0)


def test_case_18_abort_when_nothing_runs_has_no_effect() -> None:
    world = healthy(spec())
    world.annotate("abort", f"{world.revision('A')}/1")
    world.run(5)
    assert (world.phase, verbs(world), world.events[-1]) == ("Healthy", [("abort", False)], "VerbRefused")


def test_case_19_abort_after_promote_in_full_while_the_candidate_is_not_ready() -> None:
    world = healthy(spec(), behaviours={"B": Behaviour(ready_after=None)})
    world.set_artifact("B")
    world.run(5)
    world.annotate("promote-full")
    world.run(5)
    world.annotate("abort")
    world.run(5)
    assert (world.phase, world.weight("A"), outcomes(world)[-1]) == ("Degraded", 100, ("B", "Aborted"))


def test_case_20_scaling_after_an_abort_leaves_the_weights() -> None:
    world = healthy(manual(25))
    world.set_artifact("B")
    world.run(5)
    world.annotate("abort")
    world.edit(replicas=3)
    world.run(60)
    assert (world.weight("A"), world.replicas("A"), world.weight("B"), world.phase) == (100, 3, 0, "Degraded")


def test_case_21_retry_begins_from_the_start_with_the_same_digest() -> None:
    world = healthy(manual(10, 20))
    world.set_artifact("B")
    world.run(5)
    world.annotate("promote")
    world.run(5)
    world.annotate("abort")
    world.run(5)
    world.annotate("retry")
    world.run(5)
    ramp = world.status["ramp"]
    assert (world.weight("B"), ramp["step"], ramp["attempt"], ramp["evidence"]) == (10, 1, 2, "")


def test_case_22_an_aborted_digest_is_not_retried_by_a_reapply_or_by_coming_back() -> None:
    world = healthy(manual(10))
    world.set_artifact("B")
    world.run(5)
    world.annotate("abort")
    world.run(100)
    world.set_artifact("B")
    world.run(100)
    assert (world.phase, world.weight("B")) == ("Degraded", 0)
    world.set_artifact("A")
    world.run(100)
    assert world.phase == "Healthy"
    world.set_artifact("B")
    world.run(100)
    assert (world.phase, world.weight("B"), world.events[-1]) == ("Degraded", 0, "GivenUpBefore")
    world.annotate("retry")
    world.run(10)
    assert world.weight("B") == 10


def test_case_23_a_new_digest_after_an_abort_proceeds() -> None:
    world = healthy(manual(10))
    world.set_artifact("B")
    world.run(5)
    world.annotate("abort")
    world.run(5)
    world.set_artifact("C")
    world.run(5)
    assert (world.weight("C"), world.phase) == (10, "Paused")


def test_case_24_back_to_stable_mid_run_at_once_without_steps() -> None:
    world = healthy(manual(10))
    world.set_artifact("B")
    world.run(5)
    world.set_artifact("A")
    world.look()
    assert world.weight("A") == 100
    world.run(5)
    assert (world.phase, outcomes(world)[-1]) == ("Healthy", ("B", "Superseded"))


def test_case_25_inside_the_rollback_window_no_steps_outside_all() -> None:
    world = healthy(manual(10, rollbackWindow={"revisions": 1}))
    for name in ("B", "C"):
        world.set_artifact(name)
        world.run(5)
        world.annotate("promote-full")
        world.run(60)
    world.set_artifact("B")
    world.run(60)
    assert (world.phase, world.weight("B")) == ("Healthy", 100)
    world.set_artifact("A")
    world.run(60)
    assert (world.phase, world.weight("A")) == ("Paused", 10)


def test_case_26_reapplying_the_stable_digest_after_a_rollback_starts_nothing() -> None:
    world = healthy(spec(), behaviours={"B": Behaviour(errors=0.5)})
    world.set_artifact("B")
    world.run(60)
    assert world.phase == "Degraded"
    world.set_artifact("A")
    world.run(60)
    assert (world.phase, world.status.get("ramp"), world.condition("Promoted")) == (
        "Healthy",
        None,
        ("True", "Promoted"),
    )


@pytest.mark.parametrize(("how", "phase"), [("Abort", "RolledBack"), ("Hold", None)])
def test_case_27_never_ready_meets_the_progress_deadline(how: str, phase: str | None) -> None:
    limits = {"progressDeadlineSeconds": 60, "onProgressDeadline": how}
    world = healthy(spec(**limits), behaviours={"B": Behaviour(ready_after=None)})
    world.set_artifact("B")
    world.run(70)
    assert (world.phase, world.weight("A")) == ("Degraded", 100)
    assert outcomes(world)[1:] == ([("B", phase)] if phase else [])


def test_case_28_good_then_bad_then_bad_stable_never_loses_a_request() -> None:
    bad = Behaviour(errors=0.5)
    world = healthy(
        spec(), behaviours={"A": Behaviour(errors=0), "B": bad, "C": bad, "D": Behaviour(errors=0)}
    )
    for name in ("B", "C"):
        world.set_artifact(name)
        world.run(120)
        assert (world.phase, world.weight("A")) == ("Degraded", 100)
    world.set_artifact("D")
    world.run(300)
    assert (world.phase, world.weight("D"), world.failed_by["A"]) == ("Healthy", 100, 0)


def test_case_29_promoted_copy_that_dies_gives_traffic_back_to_the_healthy_one() -> None:
    world = healthy(spec(), behaviours={"B": Behaviour(crash_after=90)})
    world.set_artifact("B")
    world.run(91)
    world.run(10)
    assert (world.phase, world.weight("A"), world.name(world.status["stable"]["revision"])) == (
        "Degraded",
        100,
        "A",
    )


def test_case_30_a_third_digest_mid_run_supersedes_the_second() -> None:
    world = healthy(manual(10))
    world.set_artifact("B")
    world.run(5)
    world.set_artifact("C")
    world.look()
    assert (world.weight("A"), world.weight("B")) == (100, 0)
    world.run(5)
    assert (world.weight("C"), outcomes(world)[-1], world.replicas("B")) == (10, ("B", "Superseded"), None)


@pytest.mark.parametrize("gateway", [True, False])
def test_case_31_deleted_mid_run_gives_stable_all_traffic_and_ends(gateway: bool) -> None:
    world = healthy(manual(10))
    world.set_artifact("B")
    world.run(5)
    world.gateway = world.gateway if gateway else None
    world.delete()
    world.look()
    assert world.weight("A") == 100
    world.run(40)
    assert world.deleted


def test_case_32_a_failing_check_aborts_and_its_measurements_are_kept() -> None:
    world = healthy(spec(), behaviours={"B": Behaviour(errors=0.2)})
    world.set_artifact("B")
    world.run(60)
    assert outcomes(world)[-1] == ("B", "RolledBack")
    assert "candidate error rate" in world.status["history"][-1]["message"]
    assert world.status["ramp"]["evidence"] and world.status["verdict"] == "Fail"
    assert {f["name"]: f["verdict"] for f in world.status["findings"]}["errors"] == "Fail"


def test_case_36_undecided_at_the_deadline_pauses_and_a_persons_promote_goes_on() -> None:
    strict = {"maxDuration": "60s", "errors": {"userBudget": "0.000001"}}
    world = healthy(spec(analysis=strict))
    world.set_artifact("B")
    world.run(120)
    assert (world.phase, world.condition("Paused")) == ("Paused", ("True", "Inconclusive"))
    world.annotate("promote")
    world.run(5)
    assert world.weight("B") == 50
    assert verbs(world) == [("promote", True)]


@pytest.mark.parametrize(("how", "weight"), [("Rollback", 0), ("Promote", 50)])
def test_case_36_undecided_does_what_on_inconclusive_says(how: str, weight: int) -> None:
    strict = {"maxDuration": "60s", "errors": {"userBudget": "0.000001"}, "onInconclusive": how}
    world = healthy(spec(analysis=strict))
    world.set_artifact("B")
    world.run(90, until=lambda: world.weight("B") == 50)
    assert world.weight("B") == weight


def test_case_37_no_traffic_neither_aborts_nor_advances_and_resumes_with_data() -> None:
    world = healthy(spec(), rps=0)
    world.set_artifact("B")
    world.run(600)
    assert (world.weight("B"), world.status["verdict"]) == (25, "AwaitingEvidence")
    world.rps = 50
    world.run(300)
    assert world.phase == "Healthy"


def test_case_38_metrics_down_for_two_minutes_holds_with_one_event() -> None:
    world = healthy(spec())
    world.set_artifact("B")
    world.run(5)
    world.metrics_up = False
    world.run(120)
    assert (world.weight("B"), world.status["verdict"], world.phase) == (25, "Error", "Progressing")
    assert world.events.count("EvidenceUnavailable") == 1
    world.metrics_up = True
    world.run(300)
    assert (world.phase, world.events.count("EvidenceUnavailable")) == ("Healthy", 1)


def test_case_38_metrics_down_past_the_limit_is_paused() -> None:
    world = healthy(spec())
    world.set_artifact("B")
    world.run(5)
    world.metrics_up = False
    world.run(600)
    assert (world.phase, world.condition("Paused")) == ("Paused", ("True", "EvidenceUnavailable"))


def test_case_47_an_operator_killed_between_any_two_calls_skips_and_repeats_nothing() -> None:
    """Every action of every decision is cut off once: only the first k of them are carried out, then a new look."""
    world = healthy(manual(10, 20, 30))
    world.set_artifact("B")
    for cut in range(60):
        seen = world.observe()
        world.apply_partly(seen, cut % 4)
        world.run(1)
        if world.phase == "Paused" and cut % 5 == 0:
            world.annotate("promote")
    world.run(60)
    weights = [w["weight"] for w in world.status["weights"]]
    assert weights == [100, 10, 20, 30, 100]
    assert (world.phase, world.events.count("Promoted")) == ("Healthy", 2)


def test_case_48_a_foreign_writer_of_weights_and_replicas_is_set_right() -> None:
    world = healthy(manual(10, replicas=2))
    world.set_artifact("B")
    world.run(5)
    route = world.route
    assert route is not None
    route["spec"]["rules"][0]["backendRefs"][0]["weight"] = 3
    route["spec"]["rules"][0]["backendRefs"][1]["weight"] = 7
    world.objects["Deployment", f"digits-box-{world.revision('A')}"]["spec"]["replicas"] = 1
    world.run(5)
    assert (world.weight("A"), world.weight("B"), world.replicas("A")) == (90, 10, 2)
    assert sum(b.weight for b in split_of(route)) in (10, 100)


def test_case_50_the_conditions_that_people_wait_for() -> None:
    world = healthy(manual(10))
    world.set_artifact("B")
    world.look()
    assert world.condition("Ready") == ("False", "CandidateNotAvailable")
    world.run(5)
    for kind, state in (
        ("Paused", "True"),
        ("Progressing", "True"),
        ("Promoted", "False"),
        ("Available", "True"),
    ):
        found = world.condition(kind)
        assert found and found[0] == state, kind
    world.annotate("promote")
    world.run(60)
    for kind, state in (
        ("Ready", "True"),
        ("Promoted", "True"),
        ("Progressing", "False"),
        ("Paused", "False"),
    ):
        found = world.condition(kind)
        assert found and found[0] == state, kind
    assert {c["observedGeneration"] for c in world.status["conditions"]} == {
        world.rollout["metadata"]["generation"]
    }
    assert not {"Stalled", "Reconciling"} & {c["type"] for c in world.status["conditions"]}


UNCERTIFIED = Admission(False, "NotCertified", "the artifact has no certificate")
FORGED = Admission(False, "BadSignature", "no accepted key signed it")
ALLOWED = {"allowUncertified": {"reason": "baseline", "approvedBy": "ops"}}


@pytest.mark.parametrize(("admission", "changes", "served"), [
    (UNCERTIFIED, {}, False), (UNCERTIFIED, ALLOWED, True), (FORGED, ALLOWED, False),
    (Admission(None, "StoreUnavailable", "no answer"), {}, False),
], ids=["uncertified", "allowed on record", "a bad signature is never allowed", "not known yet"])  # fmt: skip
def test_only_an_admitted_artifact_is_started(
    admission: Admission, changes: dict[str, Any], served: bool
) -> None:
    world = healthy(spec(**changes), behaviours={"B": Behaviour(admission=admission)})
    world.set_artifact("B")
    world.run(10)
    assert ((world.weight("B") > 0), (world.replicas("B") is not None)) == (served, served)
    found = world.condition("Admitted")
    assert found and found[0] == {None: "Unknown", False: "True" if served else "False"}[admission.admitted]


def test_an_order_is_on_record_with_its_writer() -> None:
    world = healthy(manual(10, 20))
    world.set_artifact("B")
    world.run(5)
    world.rollout["metadata"]["managedFields"] = [
        {"manager": "kubectl", "fieldsV1": {"f:spec": {}}},
        {
            "manager": "kubectl-edgeramp/ann",
            "fieldsV1": {"f:metadata": {"f:annotations": {"f:edgeramp.dev/abort": {}}}},
        },
    ]
    world.annotate("abort")
    world.annotate("promote")
    world.run(5)
    records = {v["verb"]: v["by"] for v in world.status["verbs"]}
    assert records == {"abort": "kubectl-edgeramp/ann", "promote": ""}
    assert "by request of kubectl-edgeramp/ann" in world.status["history"][-1]["message"]


def test_history_says_how_long_and_by_which_certificate() -> None:
    world = healthy(
        manual(10), behaviours={"B": Behaviour(admission=Admission(True, "Certified", "", CERTIFICATE))}
    )
    world.set_artifact("B")
    world.run(95)
    world.annotate("promote")
    world.run(20)
    entry = world.status["history"][-1]
    assert (entry["outcome"], entry["certificate"]) == ("Promoted", CERTIFICATE)
    assert entry["took"].startswith("1m")
