"""ABBA: reference and candidate take turns in short blocks, in random order, on the same CPUs and inputs.

Several pairs of fresh processes are measured, since what one process shows is not what the next one shows, and those that met
the machine below its best are measured once more. Why: docs/adr/0021-processes.md."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgeramp.report.spec import BenchmarkProfile
from edgeramp_harness import cgroups, statistics
from edgeramp_harness.log import say
from edgeramp_harness.runner_process import RunnerProcess
from edgeramp_harness.statistics import Floats, Interval

MAX_THROTTLED, MAX_STEAL, MAX_DRIFT, MAX_VOID = 0.005, 0.02, 0.05, 3
MAX_SLOWER = 0.08  # of the reference against its quickest: below this the machine counts as being at its best
CHECK_EVERY = 10
OVERRUN = 4  # a run may take this many budgets to reach its minimum of rounds
WARM_LIMIT = 10.0


@dataclass
class Run:
    """One complete ABBA run. Block medians are [rounds, 2] per runner, in seconds."""

    reference: Floats
    candidate: Floats
    reference_times: Floats
    candidate_times: Floats
    interval: Interval
    order: str = ""
    throttled: float | None = None
    steal: float = 0.0
    reference_drift: float = 0.0
    seconds: float = 0.0
    void: str | None = None


@dataclass
class Pair:
    """Two warmed runners and their typical time for one inference."""

    reference: RunnerProcess
    candidate: RunnerProcess
    reference_median: float
    candidate_median: float
    voided: list[Run] = field(default_factory=list)


def share(profile: BenchmarkProfile) -> BenchmarkProfile:
    """What one of the profile's processes has to do: its share of rounds, runs and time."""
    n = profile.processes
    return profile.model_copy(
        update={
            "min_rounds": math.ceil(profile.min_rounds / n),
            "budget_seconds": profile.budget_seconds / n,
            "latency_runs": math.ceil(profile.latency_runs / n),
        }
    )


def measure(pair: Pair, profile: BenchmarkProfile, seed: int) -> Run:
    """A valid run, or the third one whatever it is."""
    for attempt in range(1, MAX_VOID + 1):
        run = _run(pair, profile, seed + attempt)
        say(
            f"run {attempt}: {len(run.reference)} rounds in {run.seconds:.1f}s, speedup {run.interval.point:.3f} "
            f"[{run.interval.lower:.3f}, {run.interval.upper:.3f}]"
            + (f", void: {run.void}" if run.void else "")
        )
        if run.void is None or attempt == MAX_VOID:
            return run
        pair.voided.append(run)
    raise AssertionError("unreachable")


def quickest(runs: Sequence[Run], known: float | None = None) -> float:
    """The reference at the machine's best, in seconds: the quickest of these runs and of what earlier ones found."""
    return min(*(_typical(run) for run in runs), known or math.inf, math.inf)


def slowed(run: Run, best: float) -> float:
    """By which share the machine was below its best, as the reference tells; 0 where it was not."""
    slower = _typical(run) / best - 1
    return slower if slower > MAX_SLOWER else 0.0


def void(runs: Sequence[Run]) -> str | None:
    """Why these runs together say nothing about times."""
    drift = statistics.drift([r.reference for r in runs], [r.candidate for r in runs])
    if drift > MAX_DRIFT:
        return f"the ratio drifted by {drift:.1%} during the run (limit 5 %)"
    return next((r.void for r in runs if r.void), None)


def _typical(run: Run) -> float:
    return float(np.median(run.reference))


def _run(pair: Pair, profile: BenchmarkProfile, seed: int) -> Run:
    rng = np.random.default_rng(seed)
    runs = {
        "A": max(1, math.ceil(profile.block_seconds / pair.reference_median)),
        "B": max(1, math.ceil(profile.block_seconds / pair.candidate_median)),
    }
    runners = {"A": pair.reference, "B": pair.candidate}
    medians: dict[str, list[list[float]]] = {"A": [], "B": []}
    times: dict[str, list[float]] = {"A": [], "B": []}
    throttled, ticks = cgroups.throttled_seconds(), cgroups.cpu_times()
    started, timed = time.monotonic(), 0.0
    orders: list[str] = []
    while True:
        order = "ABBA" if rng.random() < 0.5 else "BAAB"
        orders.append(order)
        found: dict[str, list[float]] = {"A": [], "B": []}
        for which in order:
            block = runners[which].call("block", runs=runs[which])
            found[which].append(block["median"])
            times[which] += block["times"]
            timed += block["total"]
        for which, values in found.items():
            medians[which].append(values)
        rounds, spent = len(orders), time.monotonic() - started
        if rounds % CHECK_EVERY == 0 or spent >= profile.budget_seconds:
            interval = statistics.speedup(
                [np.array(medians["A"])], [np.array(medians["B"])], profile.confidence, seed
            )
            if _done(rounds, spent, interval, profile):
                break
    run = Run(
        np.array(medians["A"]), np.array(medians["B"]), np.array(times["A"]), np.array(times["B"]), interval,
        order=" ".join(orders), seconds=time.monotonic() - started,
        steal=cgroups.cpu_times().steal_share_since(ticks),
    )  # fmt: skip
    _judge(run, throttled, timed, profile)
    return run


def _done(rounds: int, spent: float, interval: Interval, profile: BenchmarkProfile) -> bool:
    if rounds < profile.min_rounds:
        return spent >= OVERRUN * profile.budget_seconds
    return spent >= profile.budget_seconds or interval.half_width <= profile.target_half_width


def _judge(run: Run, throttled_before: float | None, timed: float, profile: BenchmarkProfile) -> None:
    """Set `void` to the first rule that the run breaks."""
    throttled = cgroups.throttled_seconds()
    if throttled is not None and throttled_before is not None:
        run.throttled = (throttled - throttled_before) / timed
    third = max(1, len(run.reference) // 3)
    first, last = np.median(run.reference[:third]), np.median(run.reference[-third:])
    run.reference_drift = float(abs(last / first - 1))
    if len(run.reference) < profile.min_rounds:
        run.void = f"only {len(run.reference)} of {profile.min_rounds} rounds within {run.seconds:.0f}s"
    elif run.throttled is not None and run.throttled > MAX_THROTTLED:
        run.void = f"throttled for {run.throttled:.1%} of the timed blocks (limit 0.5 %): raise the CPU limit"
    elif run.steal > MAX_STEAL:
        run.void = f"the hypervisor took {run.steal:.1%} of the CPU time (limit 2 %)"
