"""Blue-green: a preview, one write that moves all requests, and stable kept for the way back."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from tests.support.world import Behaviour, World, healthy, spec_of

from edgeramp.api.rollout import RolloutSpec
from edgeramp.decide.decision import Apply, Delete
from edgeramp.decide.rollout import plan_rollout
from edgeramp.render.route import mirror_of, split_of

PREVIEW = "preview.digits.example"


def swapping(
    world: World | None = None, replicas: int = 2, behaviour: Behaviour | None = None, **swap: Any
) -> World:
    """B was asked for ten seconds ago; it is ready after three."""
    strategy = {"blueGreen": swap}
    made = healthy(
        spec_of("A", strategy=strategy, replicas=replicas), behaviours={"B": behaviour or Behaviour()}
    )
    made.set_artifact("B")
    return made.run(10)


def outcomes(world: World) -> list[tuple[str, str]]:
    return [(world.name(h["revision"]), h["outcome"]) for h in world.status["history"]][1:]


def test_the_candidate_stands_at_full_strength_without_a_request_until_somebody_promotes() -> None:
    world = swapping()
    world.rps = 0
    world.run(86400)
    assert (world.phase, world.weight("A"), world.weight("B"), world.replicas("B")) == ("Paused", 100, 0, 2)
    world.annotate("promote")
    world.run(20)
    assert (world.phase, world.weight("B"), outcomes(world)) == ("Healthy", 100, [("B", "Promoted")])


def test_all_requests_move_in_one_write_of_the_route() -> None:
    world = swapping(autoPromotionSeconds=60)
    splits = []
    for _ in range(120):
        split = tuple((world._short(b.service), b.weight) for b in split_of(world.route or {}))
        if not splits or splits[-1] != split:
            splits.append(split)
        world.run(1)
    assert splits == [(("A", 100),), (("B", 100),)]


@pytest.mark.parametrize(("seconds", "before", "after"), [(60, 62, 70), (0, 2, 5)])
def test_it_switches_by_itself_after_so_long_with_all_replicas_ready(
    seconds: int, before: int, after: int
) -> None:
    world = healthy(spec_of("A", strategy={"blueGreen": {"autoPromotionSeconds": seconds}}))
    world.set_artifact("B")
    world.run(before)
    assert world.weight("B") == 0
    world.run(after - before)
    assert world.weight("B") == 100


def test_fewer_replicas_for_the_preview_all_of_them_before_the_switch() -> None:
    world = swapping(replicas=4, previewReplicaCount=1)
    assert world.replicas("B") == 1
    world.annotate("promote")
    world.run(1)
    assert (world.weight("B"), world.replicas("B")) == (0, 4)
    world.run(5)
    assert world.weight("B") == 100


def test_a_preview_host_name_leads_to_the_candidate_and_ends_with_its_ramp() -> None:
    world = swapping(previewHostnames=[PREVIEW])
    assert world.preview is not None
    spec, service = world.preview["spec"], f"digits-box-{world.revision('B')}"
    assert (spec["hostnames"], [b.service for b in split_of(world.preview)]) == ([PREVIEW], [service])
    assert world.status["preview"] == f"http://{service}.shop:80, {PREVIEW}"
    world.annotate("promote")
    world.run(20)
    assert (world.phase, world.preview, world.status.get("preview", "")) == ("Healthy", None, "")


def test_an_abort_ends_the_preview_before_anything_else_and_the_pods_later() -> None:
    world = swapping(previewHostnames=[PREVIEW])
    world.annotate("abort")
    decision = plan_rollout(world.observe())
    assert isinstance(decision.actions[0], Delete) and decision.actions[0].kind == "HTTPRoute"
    world.run(5)
    assert (world.phase, world.preview, world.replicas("B")) == ("Degraded", None, 2)
    world.run(60)
    assert world.replicas("B") == 0


def test_a_preview_route_of_somebody_else_is_left_alone() -> None:
    world = healthy(spec_of("A", strategy={"blueGreen": {"previewHostnames": [PREVIEW]}}))
    foreign = {
        "kind": "HTTPRoute",
        "metadata": {"name": "digits-box-preview", "resourceVersion": "1"},
        "spec": {},
    }
    world.objects["HTTPRoute", "digits-box-preview"] = foreign
    world.set_artifact("B")
    world.run(30)
    assert (world.condition("Stalled"), world.preview) == (("True", "RouteNotOurs"), foreign)
    assert "digits-box-preview" in world.status["message"]


def test_copies_go_to_the_candidate_until_the_switch() -> None:
    world = swapping(mirror=50, autoPromotionSeconds=60)
    mirror = mirror_of(world.route or {})
    assert mirror is not None and mirror.percent == 50
    world.run(60)
    assert (world.weight("B"), mirror_of(world.route or {})) == (100, None)
    assert world.copied("B") > 0


@pytest.mark.parametrize("mirror", [0, 20])
def test_a_candidate_lost_in_its_preview_is_given_up_and_never_switched_to(mirror: int) -> None:
    world = swapping(replicas=1, behaviour=Behaviour(crash_after=30), mirror=mirror, autoPromotionSeconds=60)
    world.run(120)
    assert (world.phase, world.weight("A"), outcomes(world)) == ("Degraded", 100, [("B", "RolledBack")])
    assert ("in its preview" in world.status["message"]) == (mirror == 0)


def test_a_candidate_lost_right_after_the_switch_gives_everything_back_in_one_look() -> None:
    world = swapping(replicas=1, behaviour=Behaviour(crash_after=12), autoPromotionSeconds=5)
    assert world.weight("B") == 100
    world.run(5.1)
    assert (world.weight("A"), world.phase, outcomes(world)) == (100, "Degraded", [("B", "RolledBack")])


@pytest.mark.parametrize("window", [0, 3])
def test_within_the_delay_the_way_back_is_one_look_whatever_the_window(window: int) -> None:
    world = swapping(autoPromotionSeconds=5, scaleDownDelaySeconds=300)
    world.edit(rollbackWindow={"revisions": window})
    world.run(200)
    assert (world.weight("B"), world.replicas("A")) == (100, 2)
    world.set_artifact("A")
    world.look()
    assert (world.weight("A"), world.weight("B")) == (100, 0)


def test_after_the_delay_stables_pods_go_and_the_way_back_is_a_switch_like_any_other() -> None:
    world = swapping(scaleDownDelaySeconds=60)
    world.edit(rollbackWindow={"revisions": 0})
    world.annotate("promote")
    world.run(100)
    assert world.replicas("A") is None
    world.set_artifact("A")
    world.run(60)
    assert (world.phase, world.weight("A"), world.replicas("A")) == ("Paused", 0, 2)


def test_a_ramp_that_becomes_blue_green_takes_back_what_it_gave_and_one_that_becomes_a_ramp_begins_small() -> (
    None
):
    quiet = {"enabled": False}
    ramp = {"steps": [{"setWeight": 5}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}], "analysis": quiet}
    world = healthy(spec_of("A", strategy=ramp))
    world.set_artifact("B")
    world.run(10)
    world.edit(strategy={"blueGreen": {}, "analysis": quiet})
    world.run(10)
    assert (world.weight("B"), world.phase) == (0, "Paused")
    again = swapping()
    again.edit(strategy=ramp)
    again.run(10)
    assert again.weight("B") == 5


def test_one_look_writes_the_switch_only_when_every_replica_is_ready() -> None:
    world = swapping(behaviour=Behaviour(ready_after=30))
    world.annotate("promote-full")
    world.run(10)
    assert (world.weight("B"), world.condition("Progressing")) == (0, ("True", "CandidateNotAvailable"))
    world.run(30)
    assert (world.weight("B"), outcomes(world)) == (100, [("B", "FastPromoted")])


def test_a_first_revision_has_no_preview() -> None:
    world = World(spec_of("A", strategy={"blueGreen": {"previewHostnames": [PREVIEW]}}))
    world.run(30)
    applied = [a for a in (world.decision.actions if world.decision else ()) if isinstance(a, Apply)]
    assert (world.phase, world.weight("A"), world.preview, applied) == ("Healthy", 100, None, [])


@pytest.mark.parametrize("swap", [
    {"scaleDownDelaySeconds": 0}, {"previewReplicaCount": 0}, {"mirror": 101},
])  # fmt: skip
def test_what_makes_no_sense_is_refused(swap: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RolloutSpec.model_validate(spec_of("A", strategy={"blueGreen": swap}))
