"""bench-path counts time once, and calls a figure met only when it was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bench.path import __main__ as bench
from bench.path.control import job_intervals, mandated, union, variant
from bench.path.detection import Trial, manifest, quantile
from demo.screen import Screen

from edgeramp.api.edgemodel import EdgeModel
from edgeramp.api.rollout import Rollout
from edgeramp.decide.rollout.advance import HOLD_AT_FULL_SECONDS


def trial(seconds: float = 3.0, outcome: str = "RolledBack", **other: Any) -> Trial:
    facts = {"exposed": 90.0, "first_bad": 100.0, "zero": 100.0 + seconds, "killed": None, "outcome": outcome}
    counts = {"stable_failed": 0, "stable_total": 500, "candidate_failed": 4, "candidate_total": 20}
    return Trial(**{**facts, **counts, **other})


def test_jobs_that_run_at_the_same_time_count_once() -> None:
    assert union([(0, 10), (5, 12), (20, 21)]) == 13
    assert union([]) == 0


def test_a_failed_job_took_its_time_too_and_older_ones_are_not_ours() -> None:
    labels = {"labels": {"edgeramp.dev/role": "prepare"}}
    jobs = [
        {
            "metadata": labels,
            "status": {"startTime": "2026-11-23T07:00:10Z", "completionTime": "2026-11-23T07:00:20Z"},
        },
        {
            "metadata": labels,
            "status": {
                "startTime": "2026-11-23T07:00:15Z",
                "conditions": [
                    {"type": "Failed", "status": "True", "lastTransitionTime": "2026-11-23T07:00:18Z"}
                ],
            },
        },
        {
            "metadata": labels,
            "status": {"startTime": "2026-11-23T06:00:00Z", "completionTime": "2026-11-23T06:00:20Z"},
        },
        {"metadata": labels, "status": {"startTime": "2026-11-23T07:00:30Z"}},
    ]
    found = job_intervals(jobs, since=1795417205.0)
    assert [(role, end - start) for role, start, end in found] == [("prepare", 10.0), ("prepare", 3.0)]


def test_the_ramps_mandated_time_is_the_least_time_at_each_weight_and_its_pauses() -> None:
    strategy = {
        "steps": [{"setWeight": 5}, {"pause": {"duration": "60s"}}, {"setWeight": 50}, {"pause": {}}],
        "analysis": {"stepMinimum": "15s"},
    }
    assert mandated({"rollout": {"strategy": strategy}}) == 2 * 15 + min(HOLD_AT_FULL_SECONDS, 15) + 60


def test_a_crash_is_counted_from_the_death_or_the_first_bad_answer_whichever_came_first() -> None:
    assert trial(seconds=3.0).seconds == 3.0
    assert trial(seconds=3.0, killed=99.0).seconds == 4.0
    assert trial(seconds=3.0, first_bad=None, killed=102.0).seconds == 1.0


def test_quantiles_of_few_runs_are_runs() -> None:
    assert quantile([1, 2, 3, 4, 9], 0.5) == 3
    assert quantile([1, 2, 3, 4, 9], 0.95) == 9
    assert quantile([], 0.5) is None


@pytest.mark.parametrize(
    ("trials", "met"),
    [
        ([trial(3.0), trial(4.0)], [True, True, True]),
        ([trial(3.0), trial(9.0)], [True, False, True]),
        ([trial(3.0), trial(3.0, outcome="")], [False, False, True]),
        ([trial(3.0, stable_failed=1)], [True, True, False]),
    ],
)
def test_a_rollback_that_never_came_or_a_lost_request_of_stable_is_not_met(
    trials: list[Trial], met: list[bool]
) -> None:
    assert [row["met"] for row in bench.rows({"errors": bench.summary(trials)})] == met


def test_figures_that_could_not_be_measured_are_not_met(tmp_path: Path) -> None:
    found: dict[str, Any] = {"control": {"met": False, "why": "x"}, "ratio": {"met": False, "why": "y"}}
    assert [row["met"] for row in bench.rows(found)] == [False, False]
    found |= {
        "date": "2026-11-23T08:00:00+00:00", "loadAtStart": (0.5, 0.5, 0.5),
        "machine": {"cpu": "x", "cores": 2, "memoryBytes": 1 << 33, "isa": ["avx2"]},
        "versions": {"kubernetes": "v1.37.2", "commit": "abc"},
    }  # fmt: skip
    bench._write(tmp_path, found, Screen())
    assert json.loads((tmp_path / "path-2026-11-23.json").read_text())["rows"]
    assert "| control-plane time, s | <= 20 | None | no |" in (tmp_path / "path-2026-11-23.md").read_text()


def test_the_benchs_rollout_is_what_the_api_accepts() -> None:
    artifact = f"oci://store/bench/digits@sha256:{'a' * 64}"
    typed = Rollout.model_validate(manifest(artifact))
    assert typed.spec.artifact == artifact
    assert [step.set_weight for step in typed.spec.strategy.steps] == [25, None]


def test_the_benchs_edgemodel_is_what_the_api_accepts() -> None:
    typed = EdgeModel.model_validate(variant("edge-box"))
    assert [target.name for target in typed.spec.targets] == ["edge-box"]
    assert typed.spec.rollout
    assert typed.spec.rollout.strategy.analysis.errors.user_budget == "0.5"
