"""Steps beside weights: the candidate's scale, requests chosen by a header (case 13), copies of requests (case 14)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.world import Behaviour, World, healthy, spec_of

from edgeramp.render.route import Chosen, Header, Mirror, chosen_of, mirror_of

NO_ANALYSIS: dict[str, Any] = {"enabled": False}
QUICK: dict[str, Any] = {
    "falsePromotion": "0.2", "errors": {"userBudget": "0.02"}, "latency": {"promoteSlower": "0.7"},
}  # fmt: skip
BETA = {"setHeaderRoute": {"match": [{"headerName": "X-Cohort", "headerValue": {"exact": "beta"}}]}}
ENDS = {"setHeaderRoute": {"match": []}}
WAIT: dict[str, Any] = {"pause": {}}


def ramping(*steps: dict[str, Any], analysis: dict[str, Any] | None = None, **changes: Any) -> World:
    """B is asked for; ten seconds later its pods are ready, and the first steps were taken."""
    behaviours = changes.pop("behaviours", {})
    strategy = {"steps": list(steps), "analysis": analysis or NO_ANALYSIS}
    world = healthy(spec_of("A", strategy=strategy, **changes), behaviours=behaviours)
    world.set_artifact("B")
    return world.run(10)


def promote(world: World) -> World:
    world.annotate("promote")
    return world.run(10)


def chosen(world: World) -> Chosen | None:
    return chosen_of(world.route or {})


def headers(world: World) -> tuple[str, ...]:
    found = chosen(world)
    return tuple(map(str, found.headers)) if found else ()


# setCandidateScale


@pytest.mark.parametrize(("scale", "replicas"), [
    ({"replicas": 3}, 3), ({"percent": 30}, 2), ({"percent": 1}, 1), ({"replicas": 6}, 6),
    ({"matchTrafficWeight": True}, 1),
])  # fmt: skip
def test_the_candidates_scale_is_what_the_step_says_whatever_the_weight(
    scale: dict[str, Any], replicas: int
) -> None:
    world = ramping({"setCandidateScale": scale}, {"setWeight": 10}, WAIT, replicas=4)
    assert (world.weight("B"), world.replicas("B"), world.replicas("A")) == (10, replicas, 4)


def test_a_fixed_scale_holds_for_greater_weights_until_it_follows_the_traffic_again() -> None:
    steps = [
        {"setCandidateScale": {"replicas": 1}}, {"setWeight": 50}, WAIT,
        {"setCandidateScale": {"matchTrafficWeight": True}}, WAIT,
    ]  # fmt: skip
    world = ramping(*steps, replicas=4)
    assert (world.weight("B"), world.replicas("B")) == (50, 1)
    assert (promote(world).weight("B"), world.replicas("B")) == (50, 2)


def test_the_step_is_left_only_when_all_its_replicas_are_ready() -> None:
    world = ramping({"setCandidateScale": {"replicas": 2}}, {"setWeight": 10}, WAIT, replicas=4,
                    behaviours={"B": Behaviour(ready_after=60)})  # fmt: skip
    assert (world.weight("B"), world.replicas("B")) == (0, 2)
    assert world.condition("Progressing") == ("True", "CandidateNotAvailable")
    assert (world.run(60).weight("B"), world.phase) == (10, "Paused")


def test_at_100_the_candidate_has_all_replicas_whatever_was_fixed() -> None:
    world = ramping({"setCandidateScale": {"replicas": 1}}, {"setWeight": 50}, WAIT, replicas=4)
    world.annotate("promote")
    world.look()
    assert (world.weight("B"), world.replicas("B")) == (50, 4)
    world.run(20)
    assert (world.phase, world.weight("B"), world.replicas("B")) == ("Healthy", 100, 4)


# setHeaderRoute: case 13


def test_case_13_all_requests_with_the_header_go_to_the_candidate_at_weight_0() -> None:
    world = ramping(BETA, WAIT)
    before = world.chosen("B")
    world.run(100)
    assert (world.weight("A"), world.weight("B"), headers(world)) == (100, 0, ("X-Cohort: beta",))
    assert world.chosen("B") - before == world.rps * 100 * world.with_header
    assert world.status["headerRoute"].startswith("X-Cohort: beta. They are not judged")


def test_case_13_the_place_is_there_before_a_request_is_sent_to_it_and_after() -> None:
    """As ADR 9 has it for weights: a rule is made and removed while nothing matches it."""
    world = ramping(BETA, WAIT, ENDS, WAIT)
    promote(world)
    states = [line.split("[")[1].rstrip("]") for line in world.story if "parked" in line or "beta ->" in line]
    assert states == [
        "route A 99 + A 1, parked -> B",
        "route A 99 + A 1, X-Cohort: beta -> B",
        "route A 99 + A 1, parked -> B",
    ]
    assert chosen(world) is None
    assert world.events.count("HeaderRouteSet") == 2


def test_case_13_the_header_route_ends_with_the_ramp() -> None:
    world = ramping(BETA, {"setWeight": 50}, WAIT)
    assert (world.weight("B"), headers(world)) == (50, ("X-Cohort: beta",))
    world.annotate("promote")
    world.run(5)
    assert (world.weight("B"), headers(world)) == (100, ())
    world.run(60)
    assert (world.phase, chosen(world), world.status.get("headerRoute")) == ("Healthy", None, "")


def test_case_13_an_abort_ends_it_in_the_same_look_and_removes_it() -> None:
    world = ramping(BETA, {"setWeight": 25}, WAIT)
    world.annotate("abort")
    world.look()
    assert (world.weight("A"), headers(world)) == (100, ())
    got = world.chosen("B")
    world.run(60)
    assert (chosen(world), world.chosen("B"), world.phase) == (None, got, "Degraded")


def test_case_13_promoted_in_full_ends_it() -> None:
    world = ramping(BETA, WAIT)
    world.annotate("promote-full")
    world.run(60)
    assert (world.phase, world.weight("B"), chosen(world)) == ("Healthy", 100, None)


def test_case_13_a_candidate_that_dies_is_rolled_back_also_at_weight_0() -> None:
    world = ramping(BETA, WAIT, behaviours={"B": Behaviour(crash_after=30)})
    world.run(60)
    assert (world.phase, headers(world), world.events.count("RolledBack")) == ("Degraded", (), 1)
    assert "while requests chosen by header go to it" in world.status["message"]


def test_case_13_the_candidate_gets_nothing_before_it_is_ready() -> None:
    world = ramping(BETA, WAIT, behaviours={"B": Behaviour(ready_after=30)})
    assert chosen(world) is None
    assert headers(world.run(30)) == ("X-Cohort: beta",)


def test_case_13_while_paused_nothing_is_added_and_nothing_taken() -> None:
    world = ramping({"setWeight": 10}, {"pause": {"duration": "60s"}}, BETA, WAIT)
    world.edit(paused=True)
    world.run(300)
    assert chosen(world) is None
    world.edit(paused=False)
    assert headers(world.run(60)) == ("X-Cohort: beta",)
    world.edit(paused=True)
    assert headers(world.run(60)) == ("X-Cohort: beta",)


def test_case_13_a_third_digest_takes_the_header_route_from_the_second() -> None:
    world = ramping(BETA, WAIT)
    world.set_artifact("C")
    world.look()
    assert headers(world) == ()
    world.run(20)
    found = chosen(world)
    assert found and (found.service, headers(world)) == (
        f"digits-box-{world.revision('C')}",
        ("X-Cohort: beta",),
    )
    assert world.replicas("B") is None


def test_case_13_stable_without_a_replica_gets_no_request_back() -> None:
    world = ramping(BETA, WAIT, behaviours={"A": Behaviour(crash_after=72)})
    world.run(6)
    assert not world.answers(world.revision("A"))
    world.annotate("abort")
    world.run(2)
    assert headers(world) == ("X-Cohort: beta",)
    assert chosen(world.run(60)) is None


def test_case_13_a_bad_answer_to_chosen_requests_is_no_evidence_but_a_bad_share_is() -> None:
    """Every answer of the candidate fails: nothing is judged until a share of the split reaches it."""
    world = ramping(BETA, {"pause": {"duration": "120s"}}, {"setWeight": 25}, analysis=QUICK,
                    behaviours={"B": Behaviour(errors=0.5)})  # fmt: skip
    world.run(100)
    assert (world.chosen("B") > 300, world.status.get("verdict"), world.phase) == (True, None, "Paused")
    world.run(60)
    assert (world.phase, world.status["verdict"], chosen(world)) == ("Degraded", "Fail", None)


def test_case_13_a_route_that_somebody_changed_is_set_right() -> None:
    world = ramping(BETA, WAIT)
    assert world.route is not None
    del world.route["spec"]["rules"][1]
    world._touch(world.route)
    assert headers(world.run(5)) == ("X-Cohort: beta",)


@pytest.mark.parametrize(("value", "header"), [
    ({"exact": "beta"}, Header("X-Cohort", "beta")),
    ({"prefix": "be.ta-"}, Header("X-Cohort", r"be\.ta\-.*", "RegularExpression")),
    ({"regex": "b.*"}, Header("X-Cohort", "b.*", "RegularExpression")),
])  # fmt: skip
def test_headers_are_exact_a_prefix_or_a_pattern(value: dict[str, str], header: Header) -> None:
    step = {"setHeaderRoute": {"match": [{"headerName": "X-Cohort", "headerValue": value}]}}
    found = chosen(ramping(step, WAIT))
    assert found and found.headers == (header,)


# setMirror: case 14


def test_case_14_the_candidate_gets_the_share_as_copies_and_no_live_request() -> None:
    world = ramping({"setMirror": 20}, WAIT)
    before = world.copied("B")
    world.run(100)
    service = f"digits-box-{world.revision('B')}"
    assert (world.weight("B"), mirror_of(world.route or {})) == (0, Mirror(service, 20))
    assert world.copied("B") - before == world.rps * 100 * 0.2
    assert (world.failed_by.get("B"), world.status["mirror"], world.status.get("verdict")) == (None, 20, None)


def test_case_14_copies_end_by_a_step_with_0() -> None:
    world = promote(ramping({"setMirror": 20}, WAIT, {"setMirror": 0}, {"setWeight": 10}, WAIT))
    assert (world.weight("B"), mirror_of(world.route or {}), world.status.get("mirror")) == (10, None, None)
    assert world.events.count("MirrorSet") == 2


@pytest.mark.parametrize("verb", ["abort", "promote-full"])
def test_case_14_copies_end_with_the_ramp(verb: str) -> None:
    world = ramping({"setMirror": 100}, {"setWeight": 10}, WAIT)
    assert mirror_of(world.route or {}) is not None
    world.annotate(verb)
    world.look()
    assert verb != "abort" or mirror_of(world.route or {}) is None
    assert mirror_of(world.run(30).route or {}) is None


def test_case_14_a_candidate_that_dies_of_copies_is_rolled_back() -> None:
    world = ramping({"setMirror": 20}, WAIT, behaviours={"B": Behaviour(crash_after=30)})
    world.run(60)
    assert (world.phase, mirror_of(world.route or {})) == ("Degraded", None)
    assert "while 20 % of the requests are copied to it" in world.status["message"]


def test_case_14_a_mirror_needs_a_ready_candidate() -> None:
    world = ramping({"setMirror": 20}, WAIT, behaviours={"B": Behaviour(ready_after=30)})
    assert mirror_of(world.route or {}) is None
    assert mirror_of(world.run(30).route or {}) is not None


def test_promote_leaves_each_of_these_steps_exactly_once() -> None:
    world = ramping(
        {"setMirror": 20}, WAIT, BETA, WAIT, {"setCandidateScale": {"replicas": 2}}, WAIT, replicas=4
    )
    assert (world.status["step"], headers(world)) == ("2/7", ())
    assert (promote(world).status["step"], headers(world)) == ("4/7", ("X-Cohort: beta",))
    assert (promote(world).status["step"], world.replicas("B")) == ("6/7", 2)
    assert (promote(world).phase, world.weight("B")) == ("Healthy", 100)
