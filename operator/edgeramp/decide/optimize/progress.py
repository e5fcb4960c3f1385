"""The loop of a run: which Jobs are wanted by the facts, and the facts that finished Jobs add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeramp.api.common import Attempts
from edgeramp.api.optimizationrun import CandidateResult, CertificationTry, OptimizationRunStatus, Winner
from edgeramp.decide import gates
from edgeramp.decide.hardware import Node
from edgeramp.decide.jobs_step import Again, Done, GaveUp, Outcome, Work, counted, look, voided
from edgeramp.decide.optimize import orders
from edgeramp.decide.optimize.context import Context
from edgeramp.decide.optimize.search import baseline, derived, is_f32, ranking, row_of, search_done
from edgeramp.recipes.choice import escalation_of
from edgeramp.report import (
    CertifySummary,
    MeasureSummary,
    PackageSummary,
    PrepareSummary,
    Quality,
    Summary,
)
from edgeramp.values.quantities import epoch, ratio
from edgeramp.values.verdict import Verdict

MAX_TRIES = 3
MAX_FOLDS = 500  # more finished Jobs than this in one look is a bug of ours


@dataclass(frozen=True)
class Step:
    """One wanted Job and what is to be done about it."""

    work: Work
    outcome: Outcome


@dataclass(frozen=True)
class Progress:
    """The facts after all finished Jobs were taken in, and the steps that are left now. `lied`: nodes that lack what
    their labels promise."""

    status: OptimizationRunStatus
    steps: tuple[Step, ...]


def advance(ctx: Context, node: Node, status: OptimizationRunStatus) -> Progress:
    """Take in every finished Job, then say what is wanted next. Settles: the same world gives the same answer."""
    status = derived(ctx.spec, _deadline(ctx, derived(ctx.spec, status)))
    for _ in range(MAX_FOLDS):
        status = _certification(ctx, status)
        steps = tuple(Step(w, look(w, ctx.jobs, ctx.now)) for w in wanted(ctx, node, status))
        ended = next((s for s in steps if isinstance(s.outcome, Done | Again | GaveUp)), None)
        if ended is None or node.name in status.rejected_nodes:
            return Progress(status, steps)
        status = derived(ctx.spec, _taken_in(ctx, status, ended))
    return Progress(status, ())


def wanted(ctx: Context, node: Node, status: OptimizationRunStatus) -> tuple[Work, ...]:
    """The Jobs that the facts call for now: FP32 first, then the others, the escalation, the certificate, the package."""
    rows, base = status.candidates, baseline(ctx.spec, status.candidates)
    if not base.settled:
        return _wanted_f32(ctx, node, rows, base.source)
    if not base.best:
        return ()
    for escalation in (False, True):
        todo = [r for r in rows if _open(r) and bool(escalation_of_row(ctx, r)) == escalation]
        unprepared = [r for r in todo if r.prepared is None]
        if unprepared:
            return tuple(orders.prepare(ctx, node, r) for r in unprepared)
        reference = row_of(rows, base.reference)
        if todo and reference:
            return (orders.measure(ctx, node, todo[0], reference, rows),)
    trying = next((t for t in status.certification if t.verdict is None), None)
    if trying:
        return (orders.certify(ctx, node, trying, status),)
    return tuple(
        orders.package(ctx, node, w, status, certified)
        for w, certified in ((status.winner, True), (status.baseline, False))
        if w and not w.packaged and not w.failure
    )


def escalation_of_row(ctx: Context, row: CandidateResult) -> str:
    """The technique whose miss makes this candidate worth its time."""
    return next((escalation_of(c) for c in ctx.spec.candidates if c.id == row.id), "")


def _wanted_f32(ctx: Context, node: Node, rows: Sequence[CandidateResult], source: str) -> tuple[Work, ...]:
    f32 = [r for r in rows if is_f32(r) and not r.infeasible]
    unprepared = [r for r in f32 if r.prepared is None]
    if unprepared:
        return tuple(orders.prepare(ctx, node, r) for r in unprepared)
    reference = row_of(rows, source)
    other = next((r for r in f32 if r.id != source and r.measured is None), None)
    return (orders.measure(ctx, node, other, reference, rows),) if other and reference else ()


def _open(row: CandidateResult) -> bool:
    return row.state in ("Pending", "Prepared")


def _certification(ctx: Context, status: OptimizationRunStatus) -> OptimizationRunStatus:
    """Once the search is done: the next candidate to certify, or the winner."""
    if not search_done(status.candidates, baseline(ctx.spec, status.candidates)) or status.winner:
        return status
    passed = next((t for t in status.certification if t.verdict is Verdict.PASS), None)
    if passed:
        return _won(ctx, status, passed.candidate)
    tried = {t.candidate for t in status.certification}
    if len(tried) >= MAX_TRIES or any(t.verdict is None for t in status.certification):
        return status
    following = next((name for name, _, _ in ranking(ctx.spec, status.candidates) if name not in tried), None)
    if following is None:
        return status
    alpha = (1.0 - ratio(ctx.spec.gates.confidence)) / 2 ** (len(tried) + 1)
    attempt = CertificationTry(candidate=following, alpha=f"{alpha:.6g}")
    return status.model_copy(update={"certification": [*status.certification, attempt]})


def _won(ctx: Context, status: OptimizationRunStatus, name: str) -> OptimizationRunStatus:
    winner = _winner(status, name)
    wants_baseline = ctx.spec.package_baseline and name != status.best_f32
    first = _winner(status, status.best_f32) if wants_baseline else None
    return status.model_copy(update={"winner": winner, "baseline": first})


def _winner(status: OptimizationRunStatus, name: str) -> Winner:
    row = row_of(status.candidates, name)
    if row is None:
        raise ValueError(f"no candidate {name!r}")
    return Winner(candidate=row.id, framework=row.framework, precision=row.precision)


def _deadline(ctx: Context, status: OptimizationRunStatus) -> OptimizationRunStatus:
    """At the run's deadline the search ends: what is not measured by then is infeasible; the rest is chosen from."""
    if not status.started_at or ctx.now < epoch(status.started_at) + ctx.spec.deadline_seconds:
        return status
    rows = [_late(r) if r.prepared is None else r for r in status.candidates]
    source = baseline(ctx.spec, rows).source
    rows = [_late(r) if r.measured is None and r.id != source else r for r in rows]
    return status.model_copy(update={"candidates": rows})


def _late(row: CandidateResult) -> CandidateResult:
    if row.infeasible or row.state == "Skipped":
        return row
    late = {"infeasible": "RunDeadlineExceeded", "message": "the run's time was up before its turn"}
    return row.model_copy(update=late)


def _taken_in(ctx: Context, status: OptimizationRunStatus, step: Step) -> OptimizationRunStatus:
    key = step.work.key
    if key.startswith("certify/"):
        return _certified(ctx, status, step)
    if key.startswith("package/"):
        return _packaged(status, step)
    rows = [_row_after(ctx, r, step) if r.id == key else r for r in status.candidates]
    rejected = list(status.rejected_nodes)
    if isinstance(step.outcome, GaveUp) and _label_lied(ctx, step.outcome):
        rejected.append(step.outcome.job.node or status.node)
    return status.model_copy(update={"candidates": rows, "rejected_nodes": sorted(set(rejected))})


def _label_lied(ctx: Context, outcome: GaveUp) -> bool:
    """Exit 13 on a feature that the target selects by label: the node is wrong, not the candidate."""
    return outcome.reason == "HardwareMismatch" and bool(orders.required_isa(ctx))


def _row_after(ctx: Context, row: CandidateResult, step: Step) -> CandidateResult:
    match step.outcome:
        case Again(tries=tries):
            return row.model_copy(update={"tries": tries})
        case GaveUp() as gave_up if _label_lied(ctx, gave_up):
            tries = counted(row.tries, gave_up.job, ctx.now, gave_up.reason)
            return row.model_copy(update={"tries": tries})
        case GaveUp(reason=reason, message=message):
            return row.model_copy(update={"infeasible": reason, "message": message[:2048]})
        case Done(summary=summary):
            return _row_done(ctx, row, step, summary)
        case _:
            return row


def _row_done(ctx: Context, row: CandidateResult, step: Step, summary: Summary) -> CandidateResult:
    done = step.outcome
    assert isinstance(done, Done)
    if isinstance(summary, PrepareSummary):
        return row.model_copy(update={"prepared": summary, "tries": Attempts()})
    if isinstance(summary, MeasureSummary):
        reference = _reference_of(step.work)
        # Without its times it is judged by accuracy and memory alone; what fails there needs no better times.
        lost = not is_f32(row) and gates.overall(gates.judge(summary, ctx.spec.gates)) is Verdict.FAIL
        if not summary.latency.valid and not lost and row.tries.voids + 1 < orders.VOID_LIMIT:
            why = f"disturbed: {summary.latency.void_reason or 'no reason given'}"
            return row.model_copy(update={"tries": voided(row.tries, done.job, ctx.now, why)})
        if not row.tries.extended and not is_f32(row) and gates.longer_may_decide(summary, ctx.spec.gates):
            why = "the bounds did not decide; measured again for longer"
            tries = counted(row.tries, done.job, ctx.now, why).model_copy(update={"extended": 1})
            return row.model_copy(update={"tries": tries})
        return row.model_copy(update={"measured": summary, "reference": reference, "tries": Attempts()})
    return row.model_copy(
        update={"infeasible": "BadSummary", "message": f"unexpected summary {summary.verb}"}
    )


def _reference_of(work: Work) -> str:
    spec = work.order.spec
    return spec.reference.id if spec.verb == "measure" else ""


def _certified(ctx: Context, status: OptimizationRunStatus, step: Step) -> OptimizationRunStatus:
    def after(attempt: CertificationTry) -> CertificationTry:
        match step.outcome:
            case Again(tries=tries):
                return attempt.model_copy(update={"tries": tries})
            case Done(summary=CertifySummary(quality=quality, report=report)):
                verdict, message = _certificate_verdict(ctx, quality)
                found = {"quality": quality, "report": report, "verdict": verdict, "message": message}
                return attempt.model_copy(update=found)
            case GaveUp(reason=reason, message=message):
                said = f"{reason}: {message}"[:2048]
                return attempt.model_copy(update={"verdict": Verdict.ERROR, "message": said})
            case _:
                return attempt.model_copy(update={"verdict": Verdict.ERROR, "message": "unexpected summary"})

    tries = [after(t) if t.verdict is None else t for t in status.certification]
    return status.model_copy(update={"certification": tries})


def _certificate_verdict(ctx: Context, quality: Quality) -> tuple[Verdict, str]:
    said = f"retention {quality.retention:.4f} (bound {quality.lower:.4f}) on {quality.items} unseen items"
    if quality.text:
        ratio, bound = quality.text.perplexity_ratio, quality.text.ratio_upper
        said = f"perplexity ratio {ratio:.4f} (bound {bound:.4f}) on {quality.items} unseen texts"
    if gates.suspect(quality):
        return Verdict.ERROR, f"{gates.SUSPECT}: {said}"
    results = gates.on_quality(quality, ctx.spec.gates)
    more = [f"{g.gate} {g.verdict.value}: {g.value}, {g.message}" for g in results[1:]]
    return gates.overall(results), "; ".join([said, *more])


def _packaged(status: OptimizationRunStatus, step: Step) -> OptimizationRunStatus:
    def after(winner: Winner | None) -> Winner | None:
        if winner is None or step.work.key != f"package/{winner.candidate}":
            return winner
        match step.outcome:
            case Again(tries=tries):
                return winner.model_copy(update={"tries": tries})
            case Done(summary=PackageSummary() as packaged):
                return winner.model_copy(update={"packaged": packaged})
            case GaveUp(reason=reason, message=message):
                return winner.model_copy(update={"failure": f"{reason}: {message}"[:2048]})
            case _:
                return winner.model_copy(update={"failure": "BadSummary: unexpected summary"})

    return status.model_copy(update={"winner": after(status.winner), "baseline": after(status.baseline)})
