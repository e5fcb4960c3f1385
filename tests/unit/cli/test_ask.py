"""Orders reach the operator for the step that was meant, and its answer is said."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

import pytest
from tests.support.world import World, healthy, spec_of

from edgeramp.cli import ask, reach
from edgeramp.decide.seen import Object
from edgeramp.effects import ownership
from edgeramp.effects.kinds import Ref
from edgeramp.values.errors import Conflict, Unavailable


class Desk:
    """The API server's Rollout of a simulated world; `sleep` lets the world's operator work."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.working = True
        self.conflicts = 0
        self.gone = False

    def get(self, ref: Ref) -> Object | None:
        named = (ref.namespace, ref.name) == ("shop", "digits-box")
        return ownership.merge_patched(self.world.rollout, {}) if named and not self.gone else None

    def patch(self, ref: Ref, body: Mapping[str, Any]) -> Object | None:
        if self.gone:
            return None
        if self.conflicts:
            self.conflicts -= 1
            raise Conflict("the object has been modified")
        wanted = body.get("metadata", {}).get("resourceVersion")
        if wanted not in (None, self.world.rollout["metadata"]["resourceVersion"]):
            raise Conflict("the object has been modified")
        if "spec" in body:
            self.world.edit(**body["spec"])
        for key, value in body.get("metadata", {}).get("annotations", {}).items():
            self.world.annotate(key.partition("/")[2], value)
        return self.get(ref)

    def sleep(self, _: float) -> None:
        if self.working:
            self.world.run(3)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """At the second of three pauses that wait for a person."""
    steps = [step for w in (10, 20, 30) for step in ({"setWeight": w}, {"pause": {}})]
    world = healthy(spec_of("A", strategy={"steps": steps}))
    world.set_artifact("B")
    world.run(5)
    made = Desk(world)

    def connect(_: argparse.Namespace, writes: bool = False) -> Desk:
        assert writes
        return made

    monkeypatch.setattr(reach, "connect", connect)
    return made


def ordered(desk: Desk, verb: str, *flags: str) -> int:
    return ask.main(verb, ["digits-box", "-n", "shop", *flags], sleep=desk.sleep)


def records(desk: Desk) -> list[tuple[str, str, bool]]:
    return [(v["verb"], v["value"], v["accepted"]) for v in desk.world.status["verbs"]]


def test_promote_leaves_the_step_of_now_and_prints_what_came_of_it(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ordered(desk, "promote") == 0
    assert desk.world.weight("B") == 20
    assert records(desk) == [("promote", f"{desk.world.revision('B')}/2", True)]
    out = capsys.readouterr().out
    assert "promote at step 2/" in out and "Paused at 20 %" in out


def test_a_stale_screen_moves_nothing(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert ordered(desk, "promote", "--step", "1") == ask.REFUSED
    assert desk.world.weight("B") == 10
    assert "the ramp is at step 2 now" in capsys.readouterr().err
    assert ordered(desk, "promote", "--revision", "0123456789") == ask.REFUSED
    assert "the candidate is" in capsys.readouterr().err


def test_two_clicks_for_the_same_step_move_one_step(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    both = [ordered(desk, "promote", "--step", "2") for _ in range(2)]
    assert both == [0, 0]
    assert desk.world.weight("B") == 20
    assert "done already" in capsys.readouterr().out


def test_abort_then_retry_then_promote_in_full(desk: Desk) -> None:
    assert ordered(desk, "abort") == 0
    assert desk.world.weight("B") == 0
    assert ordered(desk, "abort") == 0
    assert [r[0] for r in records(desk)] == ["abort"]
    assert ordered(desk, "retry") == 0
    assert ordered(desk, "promote-full") == 0
    desk.world.run(30)
    assert desk.world.status["history"][-1]["outcome"] == "FastPromoted"


def test_rollback_leads_out_of_a_ramp_to_stable_and_else_to_what_served_before(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ordered(desk, "rollback") == 0
    desk.world.run(10)
    assert desk.world.weight("A") == 100
    assert ordered(desk, "rollback") == 1
    assert "no earlier revision" in capsys.readouterr().err
    assert ordered(desk, "rollback", "--to", desk.world.revision("B")) == 0
    assert ordered(desk, "promote-full") == 0
    desk.world.run(60)
    assert ordered(desk, "rollback") == 0
    desk.world.run(20)
    assert (desk.world.weight("A"), desk.world.condition("Promoted")) == (100, ("False", "RollbackRequested"))
    assert ordered(desk, "rollback", "--to", "0123456789") == ask.REFUSED
    assert "never promoted" in capsys.readouterr().err


def test_an_order_without_a_candidate_is_not_given(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.world.set_artifact("A")
    desk.world.run(60)
    version = desk.world.rollout["metadata"]["resourceVersion"]
    assert ordered(desk, "abort") == 1
    assert "has no candidate" in capsys.readouterr().err
    assert desk.world.rollout["metadata"]["resourceVersion"] == version


def test_an_operator_that_does_not_answer_is_said(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.working = False
    assert ordered(desk, "promote", "--timeout", "5s") == ask.UNANSWERED
    assert "did not answer in 5s" in capsys.readouterr().out
    assert ordered(desk, "promote", "--step", "3") == 1
    assert "is not answered yet" in capsys.readouterr().err


def test_without_waiting_the_order_stands(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert ordered(desk, "promote", "--no-wait", "-o", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["verb"], told["accepted"]) == ("promote", None)
    desk.world.run(3)
    assert desk.world.weight("B") == 20


def test_a_status_that_changes_meanwhile_is_read_again(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.conflicts = 2
    assert ordered(desk, "promote") == 0
    assert desk.world.weight("B") == 20
    desk.conflicts = 99
    assert ordered(desk, "promote") == 1
    assert "try again" in capsys.readouterr().err


def test_pause_freezes_and_resume_goes_on(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert ordered(desk, "pause") == 0
    assert "paused at 10 %" in capsys.readouterr().out
    desk.world.run(5)
    assert desk.world.condition("Paused") == ("True", "Paused")
    assert ordered(desk, "promote") == ask.REFUSED
    assert "edgeramp resume" in capsys.readouterr().err
    assert ordered(desk, "pause") == 0
    assert "paused already" in capsys.readouterr().out
    assert ordered(desk, "resume") == 0
    assert ordered(desk, "promote") == 0


def test_a_pause_that_a_manifest_takes_back_is_said(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.world.rollout["metadata"]["managedFields"] = [
        {"manager": "argocd-controller", "operation": "Apply", "fieldsV1": {"f:spec": {"f:paused": {}}}}
    ]
    assert ordered(desk, "pause") == 0
    assert "argocd-controller applies this object" in capsys.readouterr().out


def test_what_is_not_there_is_said(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.gone = True
    assert [ordered(desk, verb) for verb in ("promote", "pause")] == [1, 1]
    assert capsys.readouterr().err.count("there is no Rollout shop/digits-box") == 2


def test_an_api_server_that_is_away_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(*_: object, **__: object) -> Desk:
        raise Unavailable("could not get rollouts.edgeramp.dev: away")

    monkeypatch.setattr(reach, "connect", away)
    assert ask.main("promote", ["digits-box", "-n", "shop"]) == 1
    assert "away" in capsys.readouterr().err
