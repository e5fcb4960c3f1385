"""The demo tells each change once, in an order that people can follow, and judges its own acts honestly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from demo import acts, report, story
from demo.screen import Screen
from demo.until import TookTooLong, until

ROW = {
    "id": "ort-static-int8", "framework": "onnxruntime", "technique": "static-int8", "precision": "int8",
    "state": "Measured", "verdict": "Pass",
    "gates": [
        {"gate": "accuracyRetention", "verdict": "Pass", "value": "1.0000", "bound": "0.9972", "required": "0.95"},
        {"gate": "speedup", "verdict": "Pass", "value": "3.1x", "bound": "3.0x", "required": "2.0"},
    ],
    "measured": {
        "latency": {"referenceP50": 0.46, "candidateP50": 0.147, "speedup": 3.1, "speedupLower": 3.0},
        "quality": {"retention": 1.0, "lower": 0.9972},
        "memory": {"artifact": 300_000, "artifactReference": 1_200_000},
    },
}  # fmt: skip


def texts(lines: Any) -> list[str]:
    return [line.text for line in lines]


def test_a_candidate_is_told_once_with_its_figures() -> None:
    before: dict[str, Any] = {"candidates": [{**ROW, "verdict": None}]}
    after = {"candidates": [ROW]}
    told = texts(story.run_lines("edge-box", before, after))
    assert told == [
        "edge-box: ort-static-int8: Pass · accuracy kept 1.0000 (bound 0.9972), speed 3.1x (bound 3.0x)"
    ]
    assert texts(story.run_lines("edge-box", after, after)) == []


def test_weights_are_told_with_the_operators_words_even_when_the_list_has_moved_on() -> None:
    old = {"weights": [{"at": "t1", "weight": 5}, {"at": "t2", "weight": 25}]}
    new = {"weights": [{"at": "t2", "weight": 25}, {"at": "t3", "weight": 0, "message": "Rolled back: …"}]}
    assert texts(story.rollout_lines("edge-server", old, new)) == ["edge-server: weight 0 % · Rolled back: …"]


def test_a_stalled_target_says_why() -> None:
    new = {"targets": [{"name": "npu", "phase": "Stalled", "message": "no node has the labels"}]}
    assert texts(story.edgemodel_lines({}, new)) == ["npu: Stalled: no node has the labels"]


def test_the_table_of_candidates_marks_the_winner() -> None:
    rows = story.candidate_rows({"candidates": [ROW], "winner": {"candidate": "ort-static-int8"}})
    assert rows[0][:4] == ["ort-static-int8", "static-int8", "0.147 ms", "3.1x"]
    assert rows[0][6] == "winner"


@pytest.mark.parametrize(
    ("seen", "met"),
    [([5, 25, 50, 100], True), ([5, 25, 100], False), ([5, 25, 0, 5, 25, 50, 100], True), ([], False)],
)
def test_a_ramp_counts_only_with_all_its_steps_in_order(seen: list[int], met: bool) -> None:
    assert acts._in_order([5, 25, 50, 100], seen) is met


def test_one_unmet_expectation_makes_the_whole_demo_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done, screen = report.Report(started_at=0.0, cold=False), Screen()
    assert not done.ok
    done.expect(screen, "the model was assessed", True)
    assert done.ok
    done.expect(screen, "promoted", False, "still at 25 %")
    assert not done.ok
    done.write(tmp_path / "demo-report.json", 12.0)
    written = json.loads((tmp_path / "demo-report.json").read_text())
    assert written["ok"] is False
    assert [e["met"] for e in written["expectations"]] == [True, False]
    assert "NOT MET: promoted · still at 25 %" in capsys.readouterr().out


def test_a_candidates_figures_are_taken_over_as_measured() -> None:
    facts = report.candidate(ROW)
    assert (facts["p50Ms"], facts["speedupLower"], facts["retentionLower"]) == (0.147, 3.0, 0.9972)
    assert report._smaller(facts) == "-75 %"


def test_a_candidate_that_was_never_measured_has_no_figures() -> None:
    facts = report.candidate({"id": "ov-accuracy-int8", "state": "Infeasible", "reason": "OOMKilled"})
    assert facts["p50Ms"] is None
    assert facts["reason"] == "OOMKilled"


def test_waiting_ends_at_the_deadline_and_says_what_was_seen() -> None:
    looks = iter(range(100))
    with pytest.raises(TookTooLong, match=r"the ramp: not within 0 s; last seen: 25 %"):
        until("the ramp", lambda: None, 0.0, seen=lambda: "25 %")
    assert until("a number", lambda: next(looks) == 3, 5.0, every=0.0) is True
