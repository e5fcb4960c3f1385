"""Control-plane time: from `kubectl apply` to promoted, without the Jobs' own work and the ramp's mandated time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from demo import acts, kube, paths
from demo.acts import Stage

from edgeramp.decide.rollout.advance import HOLD_AT_FULL_SECONDS
from edgeramp.values.names import LABEL_ROLE
from edgeramp.values.quantities import epoch, seconds

Interval = tuple[float, float]
DEFAULT_STEP_MINIMUM = "30s"


def union(intervals: Iterable[Interval]) -> float:
    """The length of the union: two Jobs at the same time count once."""
    total, end = 0.0, float("-inf")
    for start, stop in sorted(intervals):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def job_intervals(jobs: Iterable[Mapping[str, Any]], since: float) -> list[tuple[str, float, float]]:
    """Role, start and end of each Job that began after `since`. From the Job's own status, to the second."""
    found = []
    for job in jobs:
        status = job.get("status") or {}
        ended = status.get("completionTime") or _failed_at(status)
        if status.get("startTime") and ended and epoch(status["startTime"]) >= since - 1:
            role = (job["metadata"].get("labels") or {}).get(LABEL_ROLE, "")
            found.append((role, epoch(status["startTime"]), epoch(ended)))
    return found


def variant(target: str) -> dict[str, Any]:
    """The digits example for one target, with a ramp whose time is mandated and not spent on waiting for evidence.

    How long evidence takes depends on the traffic; with a wide budget it is there before the least time is over.
    """
    item = kube.manifest(paths.EXAMPLES / "digits.yaml")
    item["spec"]["targets"] = [t for t in item["spec"]["targets"] if t["name"] == target]
    strategy = item["spec"]["rollout"]["strategy"]
    strategy["steps"] = [{"setWeight": 25}, {"setWeight": 50}]
    strategy["analysis"] |= {"stepMinimum": "60s", "errors": {"userBudget": "0.5"}}
    return item


def mandated(spec: Mapping[str, Any]) -> float:
    """Seconds that the ramp must take: the least time at each weight, the operator's watch at 100 %, and pauses."""
    strategy = spec["rollout"]["strategy"]
    least = seconds((strategy.get("analysis") or {}).get("stepMinimum", DEFAULT_STEP_MINIMUM))
    steps = strategy["steps"]
    pauses = [s["pause"]["duration"] for s in steps if s.get("pause") and s["pause"].get("duration")]
    return (
        least * sum("setWeight" in s for s in steps)
        + min(HOLD_AT_FULL_SECONDS, least)
        + sum(map(seconds, pauses))
    )


def measure(stage: Stage) -> dict[str, Any]:
    """Apply the digits example for one target and follow it to promoted."""
    acts.clean(stage)
    target = stage.targets[0]
    item = variant(target)
    applied = acts.apply_file(stage, "control", acts.written(item, "bench-control.json"))
    look = acts.follow(stage, lambda now: acts.is_promoted(now, target) or acts.is_over(now, target))
    promoted_at = time.time()
    acts.settle(stage)
    for flow in stage.flows.values():
        flow.stop()
    stage.flows.clear()
    if not acts.is_promoted(look, target):
        return {"met": False, "why": look.target(target).get("message", "not promoted")}
    return _account(stage, item["spec"], target, applied, promoted_at)


def _account(
    stage: Stage, spec: Mapping[str, Any], target: str, applied: float, promoted_at: float
) -> dict[str, Any]:
    jobs = job_intervals(stage.kube.jobs(), applied)
    jobs_time = union((start, end) for _, start, end in jobs)
    splits = [s for s in stage.routes.of(f"{paths.MODEL}-{target}") if s.at >= applied]
    ramp_began = next((s.at for s in splits if len(s.weights) > 1), promoted_at)
    total, must = promoted_at - applied, mandated(spec)
    by_role: dict[str, float] = {}
    for role, start, end in jobs:
        by_role[role] = round(by_role.get(role, 0.0) + end - start, 1)
    return {
        "target": target,
        "seconds": round(total, 1),
        "jobs": len(jobs),
        "jobsSeconds": round(jobs_time, 1),
        "jobsSecondsByRole": by_role,
        "rampSeconds": round(promoted_at - ramp_began, 1),
        "rampMandatedSeconds": must,
        "rampBeyondMandated": round(promoted_at - ramp_began - must, 1),
        "beforeRampBeyondJobs": round(ramp_began - applied - jobs_time, 1),
        "beyond": round(total - jobs_time - must, 1),
    }


def _failed_at(status: Mapping[str, Any]) -> str | None:
    ended = (c for c in status.get("conditions") or [] if c["type"] == "Failed" and c["status"] == "True")
    return next((c["lastTransitionTime"] for c in ended), None)
