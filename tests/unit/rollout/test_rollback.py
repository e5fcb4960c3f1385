"""Rollback by request: to what served before, without the spec being written."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.world import Admission, Behaviour, World, healthy, spec_of

STEPS: dict[str, Any] = {"steps": [{"setWeight": 50}], "analysis": {"enabled": False}}


def promoted(*names: str, behaviours: dict[str, Behaviour] | None = None, **changes: Any) -> World:
    """A, then each of `names` was promoted, and the traces of the last change are gone."""
    world = healthy(spec_of("A", strategy=STEPS, **changes), behaviours=behaviours or {})
    for name in names:
        world.set_artifact(name)
        world.run(120)
        assert world.weight(name) == 100, "\n".join(world.story)
    return world


def back(world: World, name: str) -> None:
    world.annotate("rollback", world.revision(name))


def verdict(world: World) -> tuple[bool, str]:
    last = world.status["verbs"][-1]
    return last["accepted"], last["message"]


def test_an_earlier_revision_takes_all_requests_without_steps_and_stays() -> None:
    world = promoted("B", "C")
    back(world, "A")
    world.run(60)
    assert (world.weight("A"), world.phase) == (100, "Healthy")
    assert verdict(world)[0]
    assert world.condition("Promoted") == ("False", "RollbackRequested")
    spec_revision = world.revision("C")
    assert f"in place of the spec's {spec_revision}" in world.status["message"]
    world.edit(replicas=2)
    world.run(600)
    assert world.weight("A") == 100
    assert world.rollout["spec"]["artifact"].endswith("c" * 64)


def test_it_is_over_when_the_spec_asks_for_something_else() -> None:
    world = promoted("B", "C")
    back(world, "A")
    world.run(60)
    world.set_artifact("D")
    world.run(120)
    assert world.weight("D") == 100
    assert "pinned" not in world.status
    assert world.condition("Promoted") == ("True", "Promoted")
    assert world.events.count("RollbackOver") == 1


def test_the_specs_own_revision_ends_it() -> None:
    world = promoted("B")
    back(world, "A")
    world.run(60)
    back(world, "B")
    world.run(60)
    assert (world.weight("B"), world.condition("Promoted")) == (100, ("True", "Promoted"))
    assert "pinned" not in world.status


def test_in_a_ramp_the_way_back_to_stable_is_at_once_and_the_candidate_is_superseded() -> None:
    world = healthy(spec_of("A", strategy={"steps": [{"setWeight": 20}, {"pause": {}}]}))
    world.set_artifact("B")
    world.run(10)
    assert world.weight("B") == 20
    back(world, "A")
    world.look()
    assert world.weight("A") == 100
    world.settle()
    assert world.phase == "Healthy"
    assert world.status["history"][-1]["outcome"] == "Superseded"
    world.run(600)
    assert world.weight("A") == 100


def test_an_aborted_ramp_is_acknowledged_by_a_rollback_to_stable() -> None:
    world = healthy(spec_of("A", strategy={"steps": [{"setWeight": 20}, {"pause": {}}]}))
    world.set_artifact("B")
    world.run(10)
    world.annotate("abort")
    world.run(5)
    assert world.phase == "Degraded"
    back(world, "A")
    world.run(60)
    assert (world.weight("A"), world.phase) == (100, "Healthy")


@pytest.mark.parametrize(
    ("to", "why"), [("0123456789", "was never promoted here"), ("", "was never promoted here")]
)
def test_what_was_never_promoted_is_refused(to: str, why: str) -> None:
    world = promoted("B")
    world.annotate("rollback", to)
    world.run(5)
    accepted, message = verdict(world)
    assert (accepted, world.weight("B")) == (False, 100)
    assert why in message


def test_a_revision_that_was_given_up_is_refused() -> None:
    world = promoted(behaviours={"B": Behaviour(ready_after=30)})
    world.set_artifact("B")
    world.run(5)
    world.annotate("abort")
    world.run(60)
    world.set_artifact("C")
    world.run(120)
    back(world, "B")
    world.run(5)
    assert "was given up (Aborted" in verdict(world)[1]


def test_what_is_not_kept_any_more_is_refused_with_the_setting() -> None:
    world = promoted("B", "C", rollbackWindow={"revisions": 1})
    back(world, "A")
    world.run(5)
    assert "rollbackWindow.revisions is 1" in verdict(world)[1]
    assert world.weight("C") == 100


def test_clicked_twice_it_is_done_once_and_while_paused_not_at_all() -> None:
    world = promoted("B")
    world.edit(paused=True)
    back(world, "A")
    world.run(5)
    assert "edgeramp resume" in verdict(world)[1]
    world.edit(paused=False)
    for _ in range(2):
        back(world, "A")
        world.run(30)
    assert [v["accepted"] for v in world.status["verbs"]] == [False, True]
    assert world.weight("A") == 100


def test_an_artifact_that_may_not_be_served_any_more_is_not_gone_back_to() -> None:
    world = promoted("B")
    world.behaviours["A"] = Behaviour(
        admission=Admission(False, "CertificateExpired", "the certificate ended")
    )
    back(world, "A")
    world.run(60)
    assert (world.weight("A"), world.weight("B")) == (0, 100)
    assert world.condition("Admitted") == ("False", "CertificateExpired")


def test_an_override_for_the_specs_artifact_does_not_serve_for_another() -> None:
    never = Behaviour(admission=Admission(False, "NotCertified", "no certificate"))
    world = promoted("B", behaviours={"B": never}, allowUncertified={"reason": "trial", "approvedBy": "ops"})
    world.behaviours["A"] = never
    back(world, "A")
    world.run(30)
    assert (world.weight("A"), world.condition("Admitted")) == (0, ("False", "NotCertified"))


def test_an_override_goes_with_the_artifact_that_it_was_given_for() -> None:
    never = Behaviour(admission=Admission(False, "NotCertified", "no certificate"))
    allowed = {"reason": "the original model", "approvedBy": "ops"}
    world = healthy(spec_of("A", strategy=STEPS, allowUncertified=allowed), behaviours={"A": never})
    world.edit(allowUncertified=None)
    world.set_artifact("B")
    world.run(120)
    assert world.weight("B") == 100
    back(world, "A")
    world.run(30)
    assert (world.weight("A"), world.condition("Admitted")) == (100, ("True", "AllowedUncertified"))


def test_a_lost_copy_after_a_rollback_gives_traffic_back() -> None:
    world = promoted("B", behaviours={"A": Behaviour()})
    back(world, "A")
    world.run(20)
    world.behaviours["A"] = Behaviour(ready_after=None)
    for pod in [p for p in world.pods if p.revision == world.revision("A")]:
        world.pods.remove(pod)
    world.run(20)
    assert world.answers(world.revision("B"))
    assert world.weight("B") == 100


def test_the_order_survives_an_operator_that_dies_after_the_status() -> None:
    world = promoted("B")
    back(world, "A")
    world.apply_partly(world.observe(), 0)
    world.run(60)
    assert (world.weight("A"), [v["accepted"] for v in world.status["verbs"]]) == (100, [True])
