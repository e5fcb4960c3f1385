"""What the facts about candidates mean: the best FP32, verdicts, the frontier, the order of choice. All derived anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgeramp.api.optimizationrun import (
    CandidateResult,
    CertificationTry,
    GateResult,
    OptimizationRunSpec,
    OptimizationRunStatus,
)
from edgeramp.decide import gates
from edgeramp.decide.frontier import Point, dominated_by, frontier, rank
from edgeramp.report import Candidate
from edgeramp.values.verdict import Verdict

SOURCE_FRAMEWORK = {"onnx": "onnxruntime", "openvino-ir": "openvino", "gguf": "llama.cpp"}
TERMINAL = ("Measured", "Infeasible", "Skipped")


@dataclass(frozen=True)
class Baseline:
    """`source` is the FP32 of the model's own format, `best` the fastest FP32 on the node, `reference` what the gates
    compare with. Empty until known; `settled` when nothing about FP32 is left to do."""

    source: str = ""
    best: str = ""
    reference: str = ""
    settled: bool = False


def initial_rows(spec: OptimizationRunSpec, have: Sequence[CandidateResult]) -> list[CandidateResult]:
    """One row per candidate of the spec, in its order, with the facts kept."""
    by_id = {row.id: row for row in have}
    return [
        by_id.get(c.id)
        or CandidateResult(id=c.id, framework=c.framework, precision=c.precision, technique=c.technique)
        for c in spec.candidates
    ]


def row_of(rows: Iterable[CandidateResult], name: str) -> CandidateResult | None:
    return next((r for r in rows if r.id == name), None)


def candidate_of(spec: OptimizationRunSpec, name: str) -> Candidate:
    return next(c for c in spec.candidates if c.id == name)


def is_f32(row: CandidateResult) -> bool:
    return row.technique == "fp32"


def baseline(spec: OptimizationRunSpec, rows: Sequence[CandidateResult]) -> Baseline:
    """Which FP32 is the yardstick. With one feasible FP32 it is the yardstick unmeasured; with more, each other one is
    measured against the source's and the fastest that keeps the accuracy wins."""
    f32 = [r for r in rows if is_f32(r)]
    if any(not r.prepared and not r.infeasible for r in f32):
        return Baseline()
    feasible = [r for r in f32 if r.prepared and (not r.infeasible or r.measured)]
    own = SOURCE_FRAMEWORK[spec.format]
    source = next((r for r in feasible if r.framework == own), feasible[0] if feasible else None)
    if source is None:
        return Baseline(settled=True)
    others = [r for r in feasible if r.id != source.id]
    if any(r.measured is None and not r.infeasible for r in others):
        return Baseline(source=source.id)
    faster = [r for r in others if _beats_source(r, spec)]
    best = max(faster, key=lambda r: r.measured.latency.speedup if r.measured else 0.0, default=source)
    reference = source.id if spec.gates.speed_reference == "SourceF32" else best.id
    return Baseline(source.id, best.id, reference, settled=True)


def derived(spec: OptimizationRunSpec, status: OptimizationRunStatus) -> OptimizationRunStatus:
    """`status` with everything that follows from its facts: verdicts, frontier, scores, messages, the best FP32."""
    rows = initial_rows(spec, status.candidates)
    base = baseline(spec, rows)
    rows = [_judged(spec, base, row) for row in rows]
    rows = [_escalation(base, row, rows) for row in rows]
    able = [r for r in rows if gates.may_win(r.verdict, spec.gates)]
    points = [p for p in (point(spec, base, r) for r in able) if p]
    front = frontier(points)
    order = ranking(spec, rows)
    rows = [_explained(row, front, points, order, base) for row in rows]
    rows = [_tried(row, status.certification) for row in rows]
    return status.model_copy(update={"candidates": rows, "best_f32": base.best})


def ranking(spec: OptimizationRunSpec, rows: Sequence[CandidateResult]) -> tuple[tuple[str, float, str], ...]:
    """(id, score, why) of those that may win, best first."""
    base = baseline(spec, rows)
    able = [r for r in rows if r.state == "Measured" and gates.may_win(r.verdict, spec.gates)]
    points = [p for p in (point(spec, base, r) for r in able) if p]
    ranked = rank(points, spec.objective.weights, gates.quality_kept(spec.metric, spec.gates))
    return tuple((r.id, r.score, r.why) for r in ranked)


def point(spec: OptimizationRunSpec, base: Baseline, row: CandidateResult) -> Point | None:
    """Where a candidate lies; None for what was not measured against the gates' reference."""
    if row.measured is None or row.reference != base.reference or row.infeasible:
        return None
    saved = gates.saved_memory(row.measured.memory, spec.gates.memory_metric)
    retention, time = row.measured.quality.retention, 1.0 / max(row.measured.latency.speedup, 1e-9)
    return Point(row.id, retention, time, saved or 0.0)


def search_done(rows: Sequence[CandidateResult], base: Baseline) -> bool:
    """Nothing is left to prepare or measure."""
    return base.settled and all(r.state in TERMINAL for r in rows)


def _beats_source(row: CandidateResult, spec: OptimizationRunSpec) -> bool:
    if row.measured is None or row.measured.latency.speedup <= 1.0:
        return False
    return gates.quality(row.measured.quality, spec.gates).verdict not in (Verdict.FAIL, Verdict.ERROR)


def _judged(spec: OptimizationRunSpec, base: Baseline, row: CandidateResult) -> CandidateResult:
    """State, verdict and gates of one row from its facts."""
    if row.infeasible:
        return row.model_copy(
            update={"state": "Infeasible", "verdict": None, "reason": row.infeasible, "gates": []}
        )
    if row.measured is None and is_f32(row) and base.settled:
        return row.model_copy(
            update={"state": "Measured", "verdict": None, "reason": "Reference", "gates": []}
        )
    if row.measured is None:
        state = "Prepared" if row.prepared else "Pending"
        return row.model_copy(update={"state": state, "verdict": None, "reason": "", "gates": []})
    if not base.settled or row.reference != base.reference:
        return row.model_copy(
            update={"state": "Measured", "verdict": None, "reason": "Reference", "gates": []}
        )
    results = list(gates.judge(row.measured, spec.gates))
    verdict = gates.overall(results)
    reason = gates.SUSPECT if gates.suspect(row.measured.quality) else verdict.value
    return row.model_copy(
        update={"state": "Measured", "verdict": verdict, "reason": reason, "gates": results}
    )


def _escalation(base: Baseline, row: CandidateResult, rows: Sequence[CandidateResult]) -> CandidateResult:
    """Accuracy control is skipped where plain PTQ of the same framework kept its accuracy, or could not be done."""
    plain = next((r for r in rows if r.technique == "ptq" and r.framework == row.framework), None)
    if (
        row.technique != "accuracy-control"
        or row.measured
        or row.infeasible
        or plain is None
        or not base.settled
    ):
        return row
    if plain.infeasible:
        why = f"{plain.id} is infeasible ({plain.infeasible}), so this is too"
    else:
        by_answers = [g for g in plain.gates if g.gate in gates.BY_ANSWERS]
        if not by_answers or any(g.verdict is not Verdict.PASS for g in by_answers):
            return row
        kept = by_answers[0]
        why = (
            f"{plain.id} keeps the accuracy already ({kept.value}); reverting operators would only cost speed"
        )
    return row.model_copy(update={"state": "Skipped", "reason": "NotNeeded", "message": why})


def _explained(
    row: CandidateResult,
    front: frozenset[str],
    points: Sequence[Point],
    order: Sequence[tuple[str, float, str]],
    base: Baseline,
) -> CandidateResult:
    """The sentence that says why this one is (not) chosen, its score and whether it is on the frontier."""
    update: dict[str, object] = {"pareto": row.id in front, "score": ""}
    place = next((n for n, entry in enumerate(order) if entry[0] == row.id), None)
    mine = next((p for p in points if p.id == row.id), None)
    if place is not None:
        better = dominated_by(mine, points) if mine else ""
        update["score"] = f"{order[place][1]:.3f}"
        ahead = "first choice" if place == 0 else f"choice {place + 1}, behind {order[0][0]}"
        update["message"] = f"{ahead}: {order[place][2]}" + (f"; dominated by {better}" if better else "")
    elif row.state == "Measured" and row.gates:
        missed = [_missed(g) for g in row.gates if g.verdict is not Verdict.PASS]
        update["message"] = "; ".join(missed)
    elif row.state == "Measured":
        update["message"] = _reference_sentence(row, base)
    elif row.state in ("Pending", "Prepared"):
        update["message"] = row.tries.reason and f"attempt {row.tries.made} failed: {row.tries.reason}"
    return row.model_copy(update=update)


def _tried(row: CandidateResult, tries: Sequence[CertificationTry]) -> CandidateResult:
    """What certification said is part of the answer to "why not this one"."""
    mine = next((t for t in tries if t.candidate == row.id and t.verdict), None)
    if mine is None or mine.verdict is None:
        return row
    message = f"{row.message}; certification at alpha {mine.alpha}: {mine.verdict.value}, {mine.message}"
    return row.model_copy(update={"message": message[:2048]})


def _missed(g: GateResult) -> str:
    said = f" ({g.message})" if g.message else ""
    bound = f", bound {g.bound}" if g.bound else ""
    return f"{g.gate} {g.verdict.value}: {g.value}{bound}, wanted {g.required}{said}"


def _reference_sentence(row: CandidateResult, base: Baseline) -> str:
    against = f"{row.measured.latency.speedup:.2f}x against {row.reference}" if row.measured else ""
    if row.id == base.reference:
        return "the yardstick of all others" + (f", {against}" if against else "")
    return against or f"FP32, not faster than {base.best}"
