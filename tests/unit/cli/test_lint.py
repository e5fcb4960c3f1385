"""`edgeramp lint` refuses offline what the API server refuses, with the same words (tests/contract has the server's side)."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml

from edgeramp.cli import lint, rules

ROOT = Path(__file__).parents[3]
BAD = sorted((ROOT / "tests/contract/bad_manifests").glob("*.yaml"))
GOOD = sorted((ROOT / "tests/contract/good_manifests").glob("*.yaml"))
REFUSED = ("weight-140", "invalid-ratio")
"""Examples of what the API server refuses."""
EXAMPLES = [p for p in sorted((ROOT / "examples").rglob("*.yaml")) if p.stem not in REFUSED]
CHANGES = ("run-changed", "run-params-changed")
"""Refused only as a change of what is there."""


def expected(path: Path) -> tuple[str, str]:
    head = dict(
        line[2:].split(": ", 1)
        for line in path.read_text().splitlines()
        if line.startswith(("# field: ", "# says: "))
    )
    return head["field"], head["says"]


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_what_the_api_server_refuses_is_refused_here(path: Path) -> None:
    _, findings = lint.lint([str(path)])
    errors = [f for f in findings if f.level == "Error"]
    if path.stem in CHANGES:
        assert not errors
        return
    field, says = expected(path)
    assert errors, "accepted"
    assert any(f.field == field or f.field.startswith(field) or field.startswith(f.field) for f in errors), (
        errors
    )
    ours = any(
        says in message for kind in rules.KIND_NAMES for message in _all_messages(rules.schema_of(kind))
    )
    assert not ours or any(says in f.message for f in errors), errors


@pytest.mark.parametrize("path", [*GOOD, *EXAMPLES], ids=lambda p: p.stem)
def test_what_the_api_server_takes_is_taken_here(path: Path) -> None:
    _, findings = lint.lint([str(path)])
    assert [f for f in findings if f.level == "Error"] == []


def linted(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *flags: str
) -> tuple[int, str]:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    code = lint.main(["-", *flags])
    return code, capsys.readouterr().out


def rollout(**strategy: object) -> dict[str, object]:
    found = yaml.safe_load((ROOT / "tests/contract/good_manifests/rollout-minimal.yaml").read_text())
    found["spec"]["strategy"] = strategy
    return dict(found)


def test_a_finding_names_file_line_field_and_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = yaml.safe_dump(rollout(steps=[{"setWeight": 5}, {"setWaight": 50}]))
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "setWaight" in row)
    code, out = linted(f"# a comment\n---\n{text}", monkeypatch, capsys)
    assert code == lint.REFUSED
    assert f"-:{line + 2}: Error: Rollout digits-vnni: spec.strategy.steps[1].setWaight" in out
    assert "did you mean setWeight?" in out
    assert "1 looked at, 1 errors" in out


def test_other_objects_are_passed_over_and_lists_are_looked_into(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [rollout(steps=[{"setWeight": 400}]), {"apiVersion": "v1", "kind": "Secret"}],
    }
    code, out = linted(yaml.safe_dump(listed), monkeypatch, capsys, "-o", "json")
    told = json.loads(out)
    assert (code, told["objects"], [f["field"] for f in told["findings"]]) == (
        3,
        1,
        ["spec.strategy.steps[0].setWeight"],
    )
    code, out = linted("apiVersion: v1\nkind: Secret\n", monkeypatch, capsys)
    assert (code, out) == (0, "no object of edgeramp.dev in what was given\n")


def test_a_kind_that_does_not_exist_is_told_from_one_that_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out = linted(
        "apiVersion: edgeramp.dev/v1alpha1\nkind: EdgeModl\nmetadata: {name: a}\n", monkeypatch, capsys
    )
    assert "write EdgeModel" in out
    _, out = linted(
        "apiVersion: edgeramp.dev/v1\nkind: EdgeModel\nmetadata: {name: a}\n", monkeypatch, capsys
    )
    assert "write edgeramp.dev/v1alpha1" in out


@pytest.mark.parametrize(("strategy", "says"), [
    ({"steps": [{"setWeight": 100}]}, "nothing can be compared"),
    ({"steps": [{"setWeight": 50}], "analysis": {"enabled": False}}, "by time alone"),
    ({"steps": [{"setWeight": 50}, {"setWeight": 20}]}, "goes down on the way (50, 20)"),
    ({"analysis": {"stepMinimum": "50m"}}, "will end Inconclusive"),
    ({"windows": [{"start": "01:00", "end": "02:00", "timeZone": "Europe/Atlantis"}]}, "Europe/Atlantis"),
])  # fmt: skip
def test_what_will_not_work_out_is_advice(
    strategy: dict[str, object],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out = linted(yaml.safe_dump(rollout(**strategy)), monkeypatch, capsys)
    assert (code, says in out) == (0, True), out


def test_a_default_strategy_gets_no_advice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out = linted(yaml.safe_dump(rollout()), monkeypatch, capsys)
    assert out == "1 looked at, 0 errors, 0 pieces of advice\n"


def test_what_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    assert [lint.main([str(p)]) for p in (broken, tmp_path / "nothing.yaml")] == [1, 1]
    assert capsys.readouterr().err.count(str(tmp_path)) >= 2


def test_every_function_of_the_rules_is_known_here() -> None:
    """A rule with a function that plain CEL lacks would only fail when it is met."""
    for kind in rules.KIND_NAMES:
        for rule in _all_rules(rules.schema_of(kind)):
            rules._program(rule)


def _all_rules(node: object, part: str = "rule") -> list[str]:
    if isinstance(node, dict):
        mine = [str(r[part]) for r in node.get("x-kubernetes-validations", ())]
        return mine + [rule for child in node.values() for rule in _all_rules(child, part)]
    return [rule for child in node for rule in _all_rules(child, part)] if isinstance(node, list) else []


def _all_messages(node: object) -> list[str]:
    return _all_rules(node, "message")
