"""`edgeramp evidence` makes a ramp's decision again from the counts in status."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.world import Behaviour, World, healthy, spec_of

from edgeramp.cli import evidence
from edgeramp.decide.evidence import ledger

PAGE = Path(__file__).parents[3] / "docs" / "evidence.md"
QUICK = {"falsePromotion": "0.2", "errors": {"userBudget": "0.02"}, "latency": {"promoteSlower": "0.7"}}


def ramped(candidate: Behaviour, analysis: dict[str, Any] = QUICK) -> World:
    """A world whose candidate's ramp is over."""
    strategy = {"steps": [{"setWeight": 10}, {"setWeight": 50}], "analysis": analysis}
    world = healthy(spec_of("A", strategy=strategy), behaviours={"B": candidate}, rps=100.0)
    world.set_artifact("B")
    return world.run(1800, until=lambda: len(world.status.get("history", [])) > 1)


@pytest.fixture(scope="module")
def bad() -> World:
    return ramped(Behaviour(errors=0.03))


@pytest.fixture(scope="module")
def good() -> World:
    return ramped(Behaviour())


def saved(world: World, path: Path) -> str:
    path.write_text(yaml.safe_dump(world.rollout))
    return str(path)


def document(world: World, path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    code = evidence.main(["-f", saved(world, path / "r.yaml"), "-o", "json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert code == (0 if found["agrees"] else evidence.DIFFERS)
    return found


def test_a_rollback_is_replayed_from_its_looks(
    bad: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(bad, tmp_path, capsys)
    assert found["agrees"] and found["whole"]
    assert found["replayed"] == found["recorded"] and found["replayed"]["verdict"] == "Fail"
    assert found["said"] == found["replayed"]["message"] == bad.status["history"][-1]["message"]
    assert [look["verdict"] for look in found["looks"]].index("Fail") == len(found["looks"]) - 1


def test_the_counts_are_those_of_both_tracks(
    bad: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(bad, tmp_path, capsys)
    errors = next(f for f in found["findings"] if f["name"] == "errors")
    for track in ("stable", "candidate"):
        for i, key in enumerate(("requests", "bad")):
            assert errors[track][i] == sum(look[track][key] for look in found["looks"] if track in look)


def test_a_promoted_ramp_is_kept_and_replayed(
    good: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert good.status["history"][-1]["outcome"] == "Promoted"
    found = document(good, tmp_path, capsys)
    assert found["agrees"] and found["said"].startswith("Promoted:")
    assert found["replayed"]["passes"] and {look["weight"] for look in found["looks"]} == {10, 50}


def test_the_next_ramp_begins_a_new_list(good: World) -> None:
    again = ramped(Behaviour())
    again.behaviours["C"] = Behaviour(errors=0.5)
    again.set_artifact("C")
    again.settle()
    assert "promotedRamp" not in again.status


def test_the_text_shows_each_look_and_what_it_led_to(
    bad: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evidence.main(["-f", saved(bad, tmp_path / "r.yaml")]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Rollout shop/digits-box, revision {bad.revision('B')}: Rolled back: ")
    assert re.search(r"^ +\d+s +10 % +\d+ .* Fail$", text, re.MULTILINE)
    assert "That is the same as the evidence in status: Fail (ToleranceExceeded)" in text


def test_counts_that_were_changed_do_not_agree(
    bad: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rollout = json.loads(json.dumps(bad.rollout))
    look = json.loads(rollout["status"]["ramp"]["looks"][-1])
    look[5][1] += 1
    rollout["status"]["ramp"]["looks"][-1] = json.dumps(look)
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(rollout))
    assert evidence.main(["-f", str(path)]) == evidence.DIFFERS
    assert "NOT the same as" in capsys.readouterr().out


def test_the_check_in_the_docs_comes_to_the_same(
    bad: World, good: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    for world in (bad, good):
        found = document(world, tmp_path, capsys)
        ran = subprocess.run(
            [sys.executable, "-c", script], input=json.dumps(found), capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_long_ramp_keeps_the_newest_looks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strict = {"errors": {"userBudget": "0.0002"}, "maxDuration": "15m"}
    world = ramped(Behaviour(), strict)
    found = document(world, tmp_path, capsys)
    assert found["agrees"] and not found["whole"]
    assert len(found["looks"]) <= ledger.MOST_LOOKS
    assert found["replayed"]["reason"] == "MaxDurationReached"


@pytest.mark.parametrize(("change", "says"), [
    (lambda r: r["status"].pop("ramp"), "no ramp that was judged"),
    (lambda r: r["spec"]["strategy"]["analysis"].update(falseRollback="0.02"), "was edited after the last look"),
    (lambda r: r.update(kind="Pod"), "has no Rollout"),
    (lambda r: r["spec"].update(replicas="many"), "spec.replicas"),
])  # fmt: skip
def test_what_cannot_be_replayed_is_said(
    change: Any, says: str, bad: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rollout = json.loads(json.dumps(bad.rollout))
    change(rollout)
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(rollout))
    assert evidence.main(["-f", str(path)]) == 1
    assert says in capsys.readouterr().err


def test_a_list_of_rollouts_is_searched_by_name(
    bad: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "list.yaml"
    path.write_text(yaml.safe_dump({"kind": "List", "items": [bad.rollout]}))
    assert evidence.main(["digits-box", "-f", str(path)]) == 0
    assert evidence.main(["other", "-f", str(path)]) == 1
    assert "has no Rollout other" in capsys.readouterr().err
