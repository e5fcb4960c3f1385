"""`edgeramp simulate` plays a strategy with the real planner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tests.support.world import spec_of

from edgeramp.cli import simulate

QUICK = {"falsePromotion": "0.2", "errors": {"userBudget": "0.02"}, "latency": {"promoteSlower": "0.7"}}
EXAMPLE = Path(__file__).parents[3] / "examples" / "digits.yaml"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    strategy = {"steps": [{"setWeight": 25}], "analysis": QUICK}
    path = tmp_path / "rollout.yaml"
    path.write_text(yaml.safe_dump({"kind": "Rollout", "spec": spec_of("C", strategy=strategy)}))
    return path


@pytest.mark.parametrize(("options", "code", "end"), [
    ([], 0, "B: Promoted."), (["--errors", "0.3"], 3, "B: RolledBack."), (["--latency", "2"], 3, "B: RolledBack."),
    (["--crash-after", "20"], 3, "B: RolledBack."), (["--never-ready"], 3, "B: RolledBack."),
])  # fmt: skip
def test_it_tells_how_the_candidate_ends(
    manifest: Path, options: list[str], code: int, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate.main([str(manifest), *options]) == code
    said = capsys.readouterr().out
    assert end in said and "Ramp to revision B began" in said


def test_it_says_beforehand_what_would_be_found_and_when(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate.main([str(manifest), "--rps", "10", "--limit", "1s"])
    first, step, found, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("plan at 10 requests/s") and step.startswith("   25 % to 100 %: about ")
    assert "an outage is seen in about" in found


def test_steps_without_analysis_have_no_plan() -> None:
    spec = spec_of("C", strategy={"steps": [{"setWeight": 25}], "analysis": {"enabled": False}})
    assert simulate.planned(spec, 50) == ["plan: analysis is not enabled, steps go on by time alone"]


def test_scripts_get_the_end_and_what_it_cost(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate.main([str(manifest), "--errors", "0.3", "-o", "json"]) == 3
    shape = json.loads(capsys.readouterr().out)
    assert shape["outcome"] == "RolledBack" and shape["failedRequests"]["B"] > 0 and shape["seconds"] > 0
    assert any("Ramp to revision B began" in line for line in shape["story"])


def test_an_edgemodel_is_played_with_its_own_strategy() -> None:
    spec = simulate.rollout_spec(EXAMPLE.read_text())
    model = next(d for d in yaml.safe_load_all(EXAMPLE.read_text()) if d["kind"] == "EdgeModel")
    steps = model["spec"]["rollout"]["strategy"]["steps"]
    assert [s.get("setWeight") for s in spec["strategy"]["steps"]] == [s.get("setWeight") for s in steps]


@pytest.mark.parametrize(("text", "says"), [
    ("kind: Pod", "write a Rollout"), ("a: [", "not YAML"), ("kind: Rollout\nspec: {replicas: x}", "spec"),
])  # fmt: skip
def test_a_useless_file_is_refused_with_the_reason(
    tmp_path: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    assert simulate.main([str(path)]) == 1
    assert says in capsys.readouterr().err or says == "spec"
