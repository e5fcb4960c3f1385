"""The five stages of the way, each with a metric: baseline, conversion, quantization, hardware acceleration,
production validation. The last one is filled by the Rollout, on the EdgeModel."""

from __future__ import annotations

from edgeramp.api.common import StageMetric
from edgeramp.api.optimizationrun import CandidateResult, OptimizationRunSpec, OptimizationRunStatus
from edgeramp.decide.optimize.search import baseline, is_f32, row_of

PRODUCTION = "production validation"


def stages(spec: OptimizationRunSpec, status: OptimizationRunStatus) -> list[StageMetric]:
    """One line per stage, from facts only."""
    rows = status.candidates
    return [
        _baseline(spec, rows),
        _conversion(rows),
        _quantization(rows),
        _acceleration(spec, status),
        StageMetric(name=PRODUCTION, status="Pending", metric="judged by the Rollout"),
    ]


def _baseline(spec: OptimizationRunSpec, rows: list[CandidateResult]) -> StageMetric:
    base = baseline(spec, rows)
    seen = next((r.measured for r in rows if r.measured and r.reference == base.source), None)
    if not base.settled or seen is None:
        return StageMetric(name="baseline", status="Done" if base.settled else "Pending", metric=base.source)
    figures = f"{base.source}: p50 {seen.latency.reference_p50:.3f} ms, {seen.quality.metric} {seen.quality.reference:.4f}"
    return StageMetric(name="baseline", status="Done", metric=figures)


def _conversion(rows: list[CandidateResult]) -> StageMetric:
    f32 = [r for r in rows if is_f32(r)]
    done = [r for r in f32 if r.measured]
    if not done:
        waiting = any(not r.prepared and not r.infeasible for r in f32)
        return StageMetric(name="conversion", status="Pending" if waiting else "Done", metric="")
    row = done[0]
    assert row.measured
    figures = f"{row.id}: {row.measured.latency.speedup:.2f}x, retention {row.measured.quality.retention:.4f}"
    return StageMetric(name="conversion", status="Done", metric=figures)


def _quantization(rows: list[CandidateResult]) -> StageMetric:
    others = [r for r in rows if r.precision in ("int8", "int4")]
    measured = [r for r in others if r.measured]
    left = any(r.state in ("Pending", "Prepared") for r in others)
    if not measured:
        return StageMetric(
            name="quantization", status="Pending" if left else "Done", metric="none" if not left else ""
        )
    kept = max(measured, key=lambda r: r.measured.quality.lower if r.measured else 0.0)
    assert kept.measured
    quality, memory = kept.measured.quality, kept.measured.memory
    smaller = 1.0 - memory.artifact / memory.artifact_reference if memory.artifact_reference else 0.0
    figures = f"{kept.id}: retention {quality.retention:.4f} (>= {quality.lower:.4f}), artifact {-100 * smaller:.0f} %"
    return StageMetric(name="quantization", status="Running" if left else "Done", metric=figures)


def _acceleration(spec: OptimizationRunSpec, status: OptimizationRunStatus) -> StageMetric:
    """The winner against the gates' reference and against the model as it came."""
    winner = row_of(status.candidates, status.winner.candidate) if status.winner else None
    if winner is None or winner.measured is None:
        ended = bool(status.finished_at)
        return StageMetric(name="hardware acceleration", status="NoCandidate" if ended else "Pending")
    latency, base = winner.measured.latency, baseline(spec, status.candidates)
    figures = f"{winner.id}: {latency.speedup:.2f}x (>= {latency.speedup_lower:.2f}x), p50 {latency.candidate_p50:.3f} ms"
    best = row_of(status.candidates, base.best)
    if base.reference != base.source and best and best.measured:
        figures += f"; {latency.speedup * best.measured.latency.speedup:.2f}x against {base.source}"
    return StageMetric(name="hardware acceleration", status="Done", metric=figures)
