"""Bad input: a clear word, and nothing lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.world import SETTINGS, Behaviour, World, healthy, spec_of

from edgeramp.api.rollout import RolloutStatus
from edgeramp.decide.decision import Decision, Patch
from edgeramp.decide.rollout import plan_rollout
from edgeramp.values.settings import Settings

PAUSES = {"steps": [{"setWeight": 10}, {"pause": {}}], "analysis": {"enabled": False}}


def ramping() -> World:
    """A serves, B has 10 % and waits for a person."""
    world = healthy(spec_of("A", strategy=PAUSES))
    world.set_artifact("B")
    return world.run(5)


def said(decision: Decision) -> tuple[str, str]:
    status = decision.status
    assert isinstance(status, RolloutStatus)
    stalled = next(c for c in status.conditions if c.type == "Stalled")
    return stalled.reason, stalled.message


def test_an_invalid_spec_stalls_and_names_the_field() -> None:
    world = ramping()
    seen = world.observe()
    broken = {**seen.rollout, "spec": {**seen.rollout["spec"], "replicas": "many"}}
    decision = plan_rollout(replace(seen, rollout=broken))
    assert said(decision)[0] == "InvalidSpec" and "spec.replicas" in said(decision)[1]
    assert decision.actions == ()


def test_the_facts_survive_a_spell_of_invalid_spec() -> None:
    world = ramping()
    good = world.rollout["spec"]
    world.rollout["spec"] = {**good, "replicas": -1}
    seen = world.observe()
    world.apply(seen, plan_rollout(seen))
    assert world.phase == "Degraded"
    world.rollout["spec"] = good
    world.run(5)
    assert (world.phase, world.weight("B"), world.condition("Stalled")) == ("Paused", 10, None)


def test_a_status_of_another_version_is_not_overwritten() -> None:
    world = ramping()
    world.rollout["status"]["ramp"]["step"] = "second"
    decision = plan_rollout(world.observe())
    assert said(decision)[0] == "InvalidSpec" and decision.actions == ()
    assert decision.status.wire()["ramp"]["step"] == "second"
    assert decision.status.wire()["history"] == world.status["history"]


def test_a_route_of_somebody_else_is_not_touched() -> None:
    world = World(spec_of("A"))
    foreign = {
        "metadata": {"name": "digits-box", "ownerReferences": [{"kind": "App", "name": "x", "uid": "u-2"}]},
        "spec": {},
    }
    decision = plan_rollout(replace(world.observe(), route=foreign))
    assert said(decision)[0] == "RouteNotOurs" and "App x" in said(decision)[1]
    assert decision.actions == ()


def test_a_host_name_that_another_rollout_serves_is_not_taken() -> None:
    decision = plan_rollout(replace(World(spec_of("A")).observe(), rival="shop/older"))
    assert said(decision)[0] == "HostnameTaken" and "shop/older" in said(decision)[1]
    assert decision.actions == ()


def test_an_image_that_nobody_configured_is_named() -> None:
    decision = plan_rollout(replace(World(spec_of("A")).observe(), settings=Settings()))
    assert said(decision) == (
        "ImageNotConfigured", "no image is configured for courier; set images.courier in the chart's values",
    )  # fmt: skip


def test_a_stall_says_so_once() -> None:
    seen = replace(World(spec_of("A")).observe(), rival="shop/older")
    first = plan_rollout(seen)
    again = plan_rollout(replace(seen, rollout={**seen.rollout, "status": first.status.wire()}))
    assert (len(first.events), again.events, again.status) == (1, (), first.status)


def test_without_a_gateway_the_ramp_holds_and_says_so_and_goes_on() -> None:
    world = healthy(spec_of("A", strategy={"steps": [{"setWeight": 10}], "analysis": {"enabled": False}}))
    world.gateway = None
    world.set_artifact("B")
    world.run(60)
    assert (world.weight("B"), world.condition("Progressing")) == (0, ("True", "GatewayMissing"))
    assert world.events.count("GatewayMissing") == 1
    world.gateway = {"metadata": {"name": "edge"}}
    world.run(30)
    assert (world.phase, world.weight("B")) == ("Healthy", 100)


def test_without_a_gateway_an_abort_is_still_obeyed() -> None:
    world = ramping()
    world.gateway = None
    world.annotate("abort")
    world.look()
    assert world.weight("A") == 100


def test_a_route_that_the_gateway_refuses_holds() -> None:
    world = ramping()
    route = world.route
    assert route is not None
    refusal = {
        "type": "Accepted",
        "status": "False",
        "reason": "NotAllowedByListeners",
        "message": "no listener",
    }
    route["status"] = {"parents": [{"conditions": [refusal]}]}
    world.annotate("promote")
    world.run(10)
    assert (world.weight("B"), world.condition("Progressing")) == (10, ("False", "RouteNotAccepted"))


def test_one_restart_among_several_replicas_holds() -> None:
    world = healthy(spec_of("A", strategy=PAUSES, replicas=20), behaviours={"B": Behaviour(errors=0)}, rps=0)
    world.set_artifact("B")
    world.run(5)
    pod = next(p for p in world.pods if p.revision == world.revision("B"))
    pod.restarts, pod.ready_at = 1, world.now + 30
    world.annotate("promote")
    world.run(5)
    assert (world.phase, world.weight("B")) == ("Progressing", 10)
    world.run(60)
    assert (world.phase, world.weight("B")) == ("Healthy", 100)


def test_a_crash_loop_among_several_replicas_is_rolled_back() -> None:
    world = healthy(spec_of("A", strategy=PAUSES, replicas=20), rps=0)
    world.set_artifact("B")
    world.run(5)
    pod = next(p for p in world.pods if p.revision == world.revision("B"))
    pod.restarts = 3
    world.run(5)
    assert (world.phase, world.weight("B")) == ("Degraded", 0)
    assert "crashes in a loop" in world.status["message"]


def test_edited_steps_never_raise_the_weight_without_proof() -> None:
    world = ramping()
    world.edit(strategy={"steps": [{"setWeight": 80}, {"pause": {}}, {"setWeight": 90}]})
    world.run(20)
    assert world.weight("B") == 10


@pytest.mark.parametrize("broken", [{"replicas": "many"}, {}], ids=["unreadable", "readable"])
def test_a_deleted_rollout_lets_go_whatever_it_says(broken: dict[str, Any]) -> None:
    world = ramping()
    world.delete()
    world.rollout["spec"] = {**world.rollout["spec"], **broken}
    for _ in range(3):
        seen = world.observe()
        decision = plan_rollout(seen)
        world.apply(seen, decision)
        if world.deleted:
            break
    assert world.deleted
    assert isinstance(decision.actions[-1], Patch)


def test_a_deletion_does_not_wait_longer_than_its_deadline() -> None:
    world = ramping()
    world.delete()
    seen = world.observe()
    late = replace(seen, now=world.now + 31)
    assert plan_rollout(late).actions[-1] == plan_rollout(late).actions[0]
    assert isinstance(plan_rollout(late).actions[0], Patch)


@pytest.mark.parametrize("wanted", ["A", "B"])
def test_a_lost_status_costs_no_request_and_skips_no_step(wanted: str) -> None:
    world = healthy(spec_of("A", strategy=PAUSES))
    del world.rollout["status"]
    world.set_artifact(wanted)
    world.run(10)
    assert "Adopted" in world.events
    assert (world.weight("A"), world.phase) == ((100, "Healthy") if wanted == "A" else (90, "Paused"))


def test_an_upgrade_of_the_operator_restarts_nothing_that_serves() -> None:
    world = healthy(spec_of("A"))
    upgraded = {name: f"{image}-new" for name, image in SETTINGS.images.items()}
    seen = replace(world.observe(), settings=replace(SETTINGS, images=upgraded))
    assert plan_rollout(seen).actions == ()
