"""measure: quality on the selection split, latency in ABBA blocks, memory; candidate against reference on this node."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from edgeramp.report.certification import PERCENTS
from edgeramp.report.spec import MeasureSpec, Runner
from edgeramp.report.summary import (
    Consistency,
    Environment,
    Generation,
    Latency,
    MeasureSummary,
    Memory,
    Saved,
)
from edgeramp_harness import benchmark, data, probe, statistics
from edgeramp_harness.benchmark import Pair, Run
from edgeramp_harness.context import Context
from edgeramp_harness.log import say
from edgeramp_harness.quality import Scores, assess_quality, save_scores, score_both
from edgeramp_harness.runner_process import RunnerProcess

SEED = 20261
GENERATE_ROUNDS = 3


def run(spec: MeasureSpec, context: Context) -> MeasureSummary:
    """A valid report even where a gate is missed: the operator judges."""
    started = time.monotonic()
    have = probe.isa()
    probe.require_isa(spec.required_isa, have)
    split_dir = context.fetch(spec, spec.data, "data")
    folders = {
        "reference": context.fetch(spec, spec.reference.artifact, "reference"),
        "candidate": context.fetch(spec, spec.candidate.artifact, "candidate"),
    }
    split = data.load(split_dir)
    measured = [
        _Process(spec, context, folders, split_dir, index) for index in range(spec.benchmark.processes)
    ]
    for process in measured:
        process.measure()
    first = measured[0]
    assert first.scores is not None
    quality = assess_quality(
        first.scores, split, spec.metric, spec.retention, spec.benchmark.confidence, SEED
    )
    say(f"{spec.metric}: reference {quality.reference:.4f}, candidate {quality.candidate:.4f}, "
        f"retention {quality.retention:.4f} (lower bound {quality.lower:.4f})")  # fmt: skip
    runs = [p.run for p in measured if p.run is not None]
    latency, consistency = _latency(runs, spec), _consistency(runs, spec)
    environment = _environment(spec, have, first)
    memory = _memory(folders, first, _fresh(spec, folders, split_dir))
    warnings = _warnings(first, runs, latency)
    report = _report(spec, measured, quality.model_dump(), environment, memory, warnings)
    files = save_scores(context.folder("report") / "scores.npz", first.scores, split)
    digest = context.push_report(spec, report, files)
    return MeasureSummary(
        quality=quality, latency=latency, consistency=consistency, memory=memory, environment=environment,
        generation=_generation(measured),
        report=digest, seconds=round(time.monotonic() - started, 2), warnings=warnings,
    )  # fmt: skip


class _Process:
    """One fresh pair of runner processes; the first pair also gives memory and quality."""

    def __init__(
        self, spec: MeasureSpec, context: Context, folders: dict[str, Path], split: Path, index: int
    ) -> None:
        self.spec, self.context, self.folders, self.split, self.index = spec, context, folders, split, index
        self.loaded: dict[str, dict[str, Any]] = {}
        self.warmed: dict[str, dict[str, Any]] = {}
        self.generated: dict[str, list[dict[str, float]]] = {"reference": [], "candidate": []}
        self.scores: Scores | None = None
        self.run: Run | None = None
        self.voided: list[Run] = []

    def measure(self) -> None:
        """Load, warm, score, then time."""
        profile = self.spec.benchmark
        sides: dict[str, Runner] = {"reference": self.spec.reference, "candidate": self.spec.candidate}
        with ExitStack() as stack:
            runners = {
                side: stack.enter_context(RunnerProcess(f"{side} {runner.id}", profile.threads))
                for side, runner in sides.items()
            }
            for side, runner in sides.items():
                self.loaded[side] = runners[side].load(
                    runner.framework, runner.precision, self.folders[side], self.split, profile.batch
                )
                self.warmed[side] = runners[side].call("warm", window=0.2, limit=benchmark.WARM_LIMIT)
                say(f"{side} {runner.id}: {self.warmed[side]['median'] * 1e3:.3f} ms, "
                    f"{self.loaded[side]['effective_precision']}")  # fmt: skip
            if self.index == 0:
                self.scores = score_both(runners, self.spec.metric, self.context.folder("scores"))
            pair = Pair(
                runners["reference"], runners["candidate"],
                self.warmed["reference"]["median"], self.warmed["candidate"]["median"],
            )  # fmt: skip
            self.run = benchmark.measure(pair, profile, SEED + 100 * self.index)
            self.voided = pair.voided
            self._generate(runners)
            missing = profile.latency_runs - len(self.run.candidate_times)
            if missing > 0 and missing * pair.candidate_median <= profile.budget_seconds:
                extra = runners["candidate"].call("block", runs=missing)["times"]
                self.run.candidate_times = np.concatenate([self.run.candidate_times, np.array(extra)])

    def _generate(self, runners: dict[str, RunnerProcess]) -> None:
        """Only language models answer; in turns, ABBA."""
        for side in ("reference", "candidate", "candidate", "reference") * GENERATE_ROUNDS:
            times = runners[side].call("generate")["times"]
            if times is None:
                return
            self.generated[side].append(times)


def _generation(measured: list[_Process]) -> Generation | None:
    """Medians over all processes."""
    found: dict[str, dict[str, float]] = {}
    for side in ("reference", "candidate"):
        runs = [times for p in measured for times in p.generated[side]]
        if not runs:
            return None
        found[side] = {
            name: float(np.median([r[name] for r in runs])) for name in ("prompt", "first", "each")
        }
    a, b = found["reference"], found["candidate"]
    return Generation(
        prompt_tokens=int(b["prompt"]),
        prompt_per_second=_round(b["prompt"] / b["first"]),
        prompt_per_second_reference=_round(a["prompt"] / a["first"]),
        decode_per_second=_round(1 / b["each"]),
        decode_per_second_reference=_round(1 / a["each"]),
        first_token_ms=_round(b["first"] * 1e3),
        first_token_ms_reference=_round(a["first"] * 1e3),
    )


def _latency(runs: list[Run], spec: MeasureSpec) -> Latency:
    confidence = spec.benchmark.confidence
    ratio = (
        runs[0].interval
        if len(runs) == 1
        else statistics.speedup([r.reference for r in runs], [r.candidate for r in runs], confidence, SEED)
    )
    times = np.concatenate([r.candidate_times for r in runs]) * 1e3
    reference = np.concatenate([r.reference_times for r in runs]) * 1e3
    tails = {q: statistics.percentile(times, q, confidence) for q in (0.9, 0.95, 0.99)}
    void = next((r.void for r in runs if r.void), None)
    return Latency(
        reference_p50=_round(float(np.median(reference))),
        candidate_p50=_round(float(np.median(times))),
        candidate_p90=_round(tails[0.9]),
        candidate_p95=_round(tails[0.95]),
        candidate_p99=_round(tails[0.99]),
        speedup=_round(ratio.point),
        speedup_lower=_round(ratio.lower),
        speedup_upper=_round(ratio.upper),
        rounds=sum(len(r.reference) for r in runs),
        confidence=confidence,
        valid=void is None,
        void_reason=void,
    )


def _consistency(runs: list[Run], spec: MeasureSpec) -> Consistency:
    blocks = np.concatenate([r.candidate.ravel() for r in runs])
    found = statistics.variation(blocks, spec.benchmark.confidence)
    return Consistency(variation=_round(found.point), upper=_round(found.upper), lower=_round(found.lower))


Grown = dict[str, int]


def _fresh(spec: MeasureSpec, folders: dict[str, Path], split: Path) -> list[dict[str, Grown]]:
    """How memory grew in fresh processes beside the first, each alone on the machine: [process][side][metric]."""
    found: list[dict[str, Grown]] = []
    sides: dict[str, Runner] = {"reference": spec.reference, "candidate": spec.candidate}
    for _ in range(spec.benchmark.memory_processes - 1):
        row: dict[str, Grown] = {}
        for side, runner in sides.items():
            with RunnerProcess(f"{side} {runner.id}", spec.benchmark.threads) as process:
                loaded = process.load(
                    runner.framework, runner.precision, folders[side], split, spec.benchmark.batch
                )
                row[side] = _grown(loaded, process.call("warm", window=0.2, limit=benchmark.WARM_LIMIT))
        found.append(row)
    if found:
        say(f"memory of {len(found)} more processes of each side")
    return found


def _grown(loaded: dict[str, Any], warmed: dict[str, Any]) -> Grown:
    return {m: int(warmed["memory"][m] - loaded["before"][m]) for m in ("rss", "private_dirty")}


def _memory(folders: dict[str, Path], first: _Process, more: list[dict[str, Grown]]) -> Memory:
    def artifact(side: str) -> int:
        return sum(p.stat().st_size for p in folders[side].rglob("*") if p.is_file())

    grown = {side: _grown(first.loaded[side], first.warmed[side]) for side in folders}

    def saved(metric: str) -> Saved | None:
        confidence = first.spec.benchmark.confidence
        before, after = (
            np.array([row[side][metric] for row in (grown, *more)], float)
            for side in ("reference", "candidate")
        )
        found = statistics.saved(before, after, confidence)
        return found and Saved(
            share=_round(found.point),
            lower=_round(found.lower),
            upper=_round(found.upper),
            processes=len(before),
        )

    return Memory(
        artifact=artifact("candidate"),
        artifact_reference=artifact("reference"),
        incremental_rss=grown["candidate"]["rss"],
        incremental_rss_reference=grown["reference"]["rss"],
        private_dirty=grown["candidate"]["private_dirty"],
        private_dirty_reference=grown["reference"]["private_dirty"],
        incremental_rss_saved=saved("rss"),
        private_dirty_saved=saved("private_dirty"),
        peak_rss=int(first.warmed["candidate"]["memory"]["peak_rss"]),
    )


def _environment(spec: MeasureSpec, have: tuple[str, ...], process: _Process) -> Environment:
    versions = {r.framework: str(process.loaded[s]["version"]).split("-")[0]
                for s, r in (("reference", spec.reference), ("candidate", spec.candidate))}  # fmt: skip
    return Environment(
        node=probe.node_name(),
        cpu_model=probe.cpu_model(),
        isa=list(have),
        threads=spec.benchmark.threads,
        versions=versions,
        effective_precision=str(process.loaded["candidate"]["effective_precision"]),
    )


def _warnings(first: _Process, runs: list[Run], latency: Latency) -> list[str]:
    warnings = [f"{side} did not settle within {benchmark.WARM_LIMIT:.0f}s of warm-up"
                for side, warm in first.warmed.items() if not warm["agreed"]]  # fmt: skip
    drifted = max(r.reference_drift for r in runs)
    if drifted > benchmark.MAX_DRIFT:
        warnings.append(
            f"the machine's speed changed by {drifted:.0%} during the run; ratios hold, times may not"
        )
    if runs[0].throttled is None:
        warnings.append("the kernel reports no CPU throttling; that rule was not checked")
    if latency.candidate_p99 is None:
        needed = statistics.runs_needed(0.99, latency.confidence)
        warnings.append(f"too few runs for p99 ({sum(len(r.candidate_times) for r in runs)} of {needed})")
    return warnings


def _report(
    spec: MeasureSpec, measured: list[_Process], quality: dict[str, Any], environment: Environment, memory: Memory,
    warnings: list[str],
) -> dict[str, Any]:  # fmt: skip
    return {
        "verb": "measure",
        "spec": spec.model_dump(by_alias=True),
        "seed": SEED,
        "quality": quality,
        "environment": environment.model_dump(by_alias=True),
        "memory": memory.model_dump(by_alias=True),
        "processes": [
            {
                "loaded": p.loaded,
                "warmed": p.warmed,
                "generated": p.generated,
                "runs": [_run_report(r) for r in [*p.voided, *([p.run] if p.run else [])]],
            }
            for p in measured
        ],
        "distribution": _distribution([p.run for p in measured if p.run is not None]),
        "energy": None,
        "warnings": warnings,
    }


def _distribution(runs: list[Run]) -> dict[str, list[float]]:
    """Percentiles 0 to 100 of single inferences in milliseconds: a description, not a bound (for those see _latency)."""
    sides = {
        "reference": np.concatenate([r.reference_times for r in runs]),
        "candidate": np.concatenate([r.candidate_times for r in runs]),
    }
    return {side: [_round(t) for t in np.percentile(1e3 * times, PERCENTS)] for side, times in sides.items()}


def _run_report(run: Run) -> dict[str, Any]:
    return {
        "order": run.order,
        "referenceBlockMediansSeconds": run.reference.tolist(),
        "candidateBlockMediansSeconds": run.candidate.tolist(),
        "referenceRuns": len(run.reference_times),
        "candidateRuns": len(run.candidate_times),
        "speedup": vars(run.interval),
        "throttledShare": run.throttled,
        "stealShare": run.steal,
        "ratioDrift": run.drift,
        "referenceDrift": run.reference_drift,
        "seconds": run.seconds,
        "void": run.void,
    }


def _round(value: Any, digits: int = 5) -> Any:
    """Significant digits, so that the summary stays small; None stays None."""
    return None if value is None else float(f"{value:.{digits}g}")
