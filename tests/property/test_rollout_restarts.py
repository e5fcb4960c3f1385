"""The operator killed at every boundary of a recorded rollout, and wherever dice fall: the same steps, the same end.

A boundary lies after the status of a decision is written and after each of its actions. The next operator comes seconds
later, knows nothing but what is in the cluster, and traffic went on meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.world import Behaviour, World, spec_of

from edgeramp.decide.decision import Decision
from edgeramp.decide.rollout import plan_rollout
from edgeramp.decide.seen import RolloutSeen

QUICK = {
    "falsePromotion": "0.2", "errors": {"userBudget": "0.02"}, "latency": {"promoteSlower": "0.7"}, "stepMinimum": "10s",
}  # fmt: skip
STEPS = [
    {"setWeight": 5},
    {"setMirror": 30},
    {"setWeight": 25},
    {"pause": {"duration": "20s"}},
    {"setWeight": 50},
]
AWAY = 4.0  # seconds without an operator


@dataclass
class Mortal(World):
    """A world whose operator dies at the boundaries in `deaths`, counted over all looks that act."""

    deaths: frozenset[int] = frozenset()
    boundaries: int = 0
    weights: list[int] = field(default_factory=list)
    began: tuple[Any, Any] | None = None
    counted: bool = False

    def look(self) -> Decision:
        decision = super().look()
        weight = self.weight("B") if "B" in self.names.values() else 0
        if not self.weights or self.weights[-1] != weight:
            self.weights.append(weight)
        return decision

    def apply(self, seen: RolloutSeen, decision: Decision) -> None:
        for done in range(len(decision.actions)):
            self.boundaries += 1
            if self.boundaries - 1 in self.deaths:
                super().apply(seen, replace(decision, actions=decision.actions[:done], events=()))
                self._evidence_is_kept()
                self._pass(AWAY)
                again = self.observe()
                self.apply(again, plan_rollout(again))
                return
        super().apply(seen, decision)
        self._evidence_is_kept()

    def _evidence_is_kept(self) -> None:
        """A ramp begins once, and what was counted in it is never forgotten."""
        ramp = self.status.get("ramp") or {}
        if not ramp or self.name(ramp["revision"]) != "B":
            return
        began = (ramp["startedAt"], ramp["attempt"])
        assert self.began in (None, began), "the ramp began anew"
        assert ramp.get("evidence") or not self.counted, "a look forgot what an earlier one had counted"
        self.began, self.counted = began, bool(ramp.get("evidence"))


def healthy() -> Behaviour:
    return Behaviour()


def failing() -> Behaviour:
    return Behaviour(errors=0.3)


def crashing() -> Behaviour:
    return Behaviour(crash_after=25)


def never_ready() -> Behaviour:
    return Behaviour(ready_after=None)


KINDS: dict[str, tuple[Callable[[], Behaviour], dict[str, Any]]] = {
    "promoted": (healthy, {}),
    "rolled back by evidence": (failing, {}),
    "rolled back after a crash": (crashing, {}),
    "never ready": (never_ready, {"progressDeadlineSeconds": 60}),
}


def played(kind: str, deaths: frozenset[int]) -> Mortal:
    """From A serving, through the ramp to B, until everything is settled."""
    behaviour, changes = KINDS[kind]
    spec = spec_of("A", strategy={"steps": STEPS, "analysis": QUICK}, replicas=2, **changes)
    world = Mortal(spec, {"B": behaviour()}, rps=60, deaths=deaths)
    world.run(60)
    world.set_artifact("B")
    world.run(400)
    return world


def end(world: Mortal) -> dict[str, Any]:
    """All that must not depend on when the operator died."""
    status = world.status
    return {
        "phase": world.phase,
        "stable": world.name(status["stable"]["revision"]),
        "ready": world.condition("Ready"),
        "history": [(world.name(h["revision"]), h["outcome"]) for h in status["history"]],
        "weights": [weight for weight in world.weights if weight],
        "ends at": world.weights[-1],
        "pods": {name: world.replicas(name) for name in world.names.values()},
    }


@cache
def recorded(kind: str) -> Mortal:
    return played(kind, frozenset())


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_every_boundary_it_comes_to_the_same_end(kind: str) -> None:
    alive = recorded(kind)
    assert alive.boundaries > 5, "the recorded rollout acts"
    for boundary in range(alive.boundaries):
        world = played(kind, frozenset({boundary}))
        assert end(world) == end(alive), f"killed at boundary {boundary}:\n" + "\n".join(world.story)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(deaths=st.frozensets(st.integers(0, 60), max_size=12))
def test_killed_wherever_dice_fall_it_comes_to_the_same_end(kind: str, deaths: frozenset[int]) -> None:
    world = played(kind, deaths)
    assert end(world) == end(recorded(kind)), "\n".join(world.story)


def test_the_recorded_rollouts_end_differently() -> None:
    phases = {kind: (recorded(kind).phase, end(recorded(kind))["history"][-1][1]) for kind in KINDS}
    assert phases == {
        "promoted": ("Healthy", "Promoted"),
        "rolled back by evidence": ("Degraded", "RolledBack"),
        "rolled back after a crash": ("Degraded", "RolledBack"),
        "never ready": ("Degraded", "RolledBack"),
    }
