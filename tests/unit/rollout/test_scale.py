"""dynamicStableScale: stable has what its share of the requests takes, and more before it gets more."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.world import Behaviour, World, healthy, spec_of

WAIT: dict[str, Any] = {"pause": {}}


def ramping(*weights: int, stable: Behaviour | None = None, judged: bool = False, **changes: Any) -> World:
    """B was asked for ten seconds ago; every weight waits for a person."""
    steps = [step for w in weights for step in ({"setWeight": w}, WAIT)]
    strategy = {"steps": steps, "analysis": {"enabled": judged}, "dynamicStableScale": True}
    made = spec_of("A", strategy=strategy, replicas=4, **changes)
    world = healthy(made, behaviours={"A": stable or Behaviour(), "B": Behaviour()})
    world.set_artifact("B")
    return world.run(10)


def promote(world: World, seconds: float = 10) -> World:
    world.annotate("promote")
    return world.run(seconds)


def scales(world: World) -> tuple[int, int | None, int | None]:
    return world.weight("B"), world.replicas("A"), world.replicas("B")


def test_stable_shrinks_as_the_candidates_weight_rises() -> None:
    world = ramping(10, 25, 75)
    assert scales(world) == (10, 4, 1)
    assert scales(promote(world)) == (25, 3, 1)
    assert scales(promote(world)) == (75, 1, 3)


def test_stable_is_whole_without_the_option() -> None:
    world = ramping(75)
    world.edit(strategy={**world.rollout["spec"]["strategy"], "dynamicStableScale": False})
    assert scales(world.run(10)) == (75, 4, 3)


def test_it_shrinks_only_after_the_gateway_sends_it_less() -> None:
    world = ramping(50)
    quiet = healthy(world.spec)
    quiet.set_artifact("B")
    quiet.run(3.5)
    assert scales(quiet) == (50, 4, 2), "the route was written half a second ago"
    quiet.run(2)
    assert scales(quiet) == (50, 2, 2)


def test_a_step_back_waits_until_stable_has_grown() -> None:
    world = ramping(75, 25, stable=Behaviour(ready_after=20))
    assert scales(world) == (75, 1, 3)
    promote(world, 15)
    assert scales(world) == (75, 3, 3)
    assert world.condition("Progressing") == ("True", "StableScalingUp")
    assert "1 of 3 replicas" in world.status["message"]
    world.run(10)
    assert scales(world) == (25, 3, 3)


@pytest.mark.parametrize("how", ["abort", "artifact"])
def test_the_way_back_does_not_wait(how: str) -> None:
    world = ramping(75, stable=Behaviour(ready_after=20))
    if how == "abort":
        world.annotate("abort")
    else:
        world.set_artifact("A")
    world.look()
    assert (world.weight("A"), world.replicas("A")) == (100, 4)
    assert (
        sum(
            p.ready_at is not None and p.ready_at <= world.now
            for p in world.pods
            if world.name(p.revision) == "A"
        )
        == 1
    )


def test_at_100_one_replica_of_stable_stands_by_until_the_promotion() -> None:
    world = ramping(50, judged=True)
    promote(world, 8)
    assert scales(world) == (100, 1, 4)
    world.run(60)
    assert (world.phase, world.replicas("A")) == ("Healthy", 0)


def test_an_autoscaler_scales_both_by_their_shares() -> None:
    world = ramping(25)
    assert scales(world) == (25, 3, 1)
    assert (world.status["replicas"], world.status["selector"]) == (4, "edgeramp.dev/rollout=digits-box")
    world.edit(replicas=8)
    assert scales(world.run(10)) == (25, 6, 2)
    world.edit(replicas=2)
    assert scales(world.run(10)) == (25, 2, 1)
