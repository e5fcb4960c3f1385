"""What users read about a run: phase, message, conditions, stages, events. Derived; nothing reads it back but people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeramp.api.common import Condition
from edgeramp.api.optimizationrun import CandidateResult, OptimizationRunStatus
from edgeramp.decide.conditions import condition, merged
from edgeramp.decide.decision import Event
from edgeramp.decide.hardware import Node, why_none
from edgeramp.decide.jobs_step import Busy, Start
from edgeramp.decide.optimize.context import Context
from edgeramp.decide.optimize.progress import Step
from edgeramp.decide.optimize.stages import stages
from edgeramp.values.quantities import duration, timestamp
from edgeramp.values.verdict import Verdict

VERB_PHASE = {"prepare": "Preparing", "measure": "Measuring", "certify": "Certifying", "package": "Packaging"}


@dataclass(frozen=True)
class Told:
    """A status fit for people, and the events that the change is worth."""

    status: OptimizationRunStatus
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Situation:
    """What a run that has not ended is doing. `stalled`: only somebody from outside can help."""

    phase: str
    reason: str
    message: str
    stalled: bool = False


def no_node(ctx: Context) -> Situation:
    selector = ctx.spec.target.node_selector
    lied = ctx.run.status.rejected_nodes
    why = why_none(ctx.seen.nodes, selector)
    if lied:
        why = f"{', '.join(lied)} lack what their labels promise, and {why if not ctx.nodes else 'no other node matches'}"
    return Situation("Stalled", "NoMatchingNode", f"{why}; resumes when such a node is Ready", stalled=True)


def label_lied(node: str) -> Situation:
    return Situation(
        "Waiting", "HardwareMismatch", f"the CPU of {node} lacks what its labels promise; placing elsewhere"
    )


def no_secret(ctx: Context) -> Situation:
    message = f"create the Secret {ctx.settings.signing_secret} (key.pem) in namespace {ctx.owner.namespace} to sign"
    return Situation("Stalled", "SigningKeyMissing", message, stalled=True)


def waits_for_host(node: Node, holder: str) -> Situation:
    who = f"in use by {holder.rpartition('/')[0]}" if holder else "being reserved"
    return Situation("Waiting", "MeasurementHostBusy", f"waits for the machine {node.host}, {who}")


def stopping(count: int) -> Situation:
    return Situation("Waiting", "StoppingJobs", f"stops {count} Job(s) that nobody wants any more")


def misconfigured(message: str) -> Situation:
    return Situation("Stalled", "ImageNotConfigured", message, stalled=True)


def retries(steps: Sequence[Step], wait: float) -> Situation:
    step = steps[0]
    verb = step.work.order.spec.verb
    why = f"{step.work.key}: {step.work.tries.reason}; attempt {step.work.tries.made + 1} in {duration(wait)}"
    return Situation(VERB_PHASE[verb], "BackingOff", why)


def working(active: Sequence[Step], starting: Sequence[Step]) -> Situation:
    now = [s for s in active if isinstance(s.outcome, Busy)] + list(starting)
    verb = now[0].work.order.spec.verb if now else active[0].work.order.spec.verb
    names = ", ".join(s.work.key.rpartition("/")[2] for s in now)
    held = next((s.outcome.job for s in now if isinstance(s.outcome, Busy) and s.outcome.job.reason), None)
    waiting = f" (the pod waits: {held.reason} {held.message})" if held else ""
    return Situation(VERB_PHASE[verb], VERB_PHASE[verb], f"{verb}: {names}{waiting}")


def told(
    ctx: Context, before: OptimizationRunStatus, status: OptimizationRunStatus, now: Situation | None
) -> Told:
    """`status` with phase, message, stages and conditions; `now` None: the run has ended."""
    phase, message = (now.phase, now.message) if now else (status.phase, status.message)
    conditions = merged(before.conditions, _conditions(ctx, status, now))
    update = {
        "observed_generation": ctx.generation,
        "phase": phase,
        "message": message[:2048],
        "progress": _progress(status),
        "stages": stages(ctx.spec, status),
        "conditions": conditions,
        "baseline_package": status.baseline.packaged if status.baseline else None,
    }
    after = status.model_copy(update=update)
    return Told(after, tuple(_events(before, after, now)))


def ended(ctx: Context, status: OptimizationRunStatus) -> OptimizationRunStatus:
    """The end of a run, in a word and a table."""
    phase, message = _end(status)
    return status.model_copy(
        update={"phase": phase, "message": message[:2048], "finished_at": timestamp(ctx.now)}
    )


def _end(status: OptimizationRunStatus) -> tuple[str, str]:
    winner = status.winner
    if winner and winner.packaged:
        return "Certified", _winner_sentence(status)
    if winner:
        return "Failed", f"{winner.candidate} is certified but could not be packaged: {winner.failure}"
    if not status.best_f32:
        return "Failed", f"no FP32 baseline can be run: {why_nots(status)}"
    undecided = any(r.verdict is Verdict.INCONCLUSIVE for r in status.candidates) or any(
        t.verdict is not Verdict.FAIL for t in status.certification
    )
    if undecided:
        return "Inconclusive", f"the evidence decides for no candidate: {why_nots(status)}"
    return "NoCandidate", f"no candidate passes every gate: {why_nots(status)}"


def why_nots(status: OptimizationRunStatus) -> str:
    """One clause per candidate."""
    return "; ".join(f"{r.id}: {_why_not(r)}" for r in status.candidates)


def _why_not(row: CandidateResult) -> str:
    short = row.message[:400]
    return f"{row.reason}, {short}" if row.infeasible or row.state == "Skipped" else short


def _winner_sentence(status: OptimizationRunStatus) -> str:
    assert status.winner
    row = next(r for r in status.candidates if r.id == status.winner.candidate)
    done = next(t for t in status.certification if t.candidate == row.id)
    fast = f"{row.measured.latency.speedup:.2f}x against {row.reference}, " if row.measured else ""
    return f"{row.id}: {fast}{done.message}"


def _progress(status: OptimizationRunStatus) -> str:
    done = sum(r.state in ("Measured", "Infeasible", "Skipped") for r in status.candidates)
    return f"{done}/{len(status.candidates)}"


def _conditions(ctx: Context, status: OptimizationRunStatus, now: Situation | None) -> list[Condition]:
    def make(kind: str, value: bool | None, reason: str, message: str) -> Condition:
        return condition(kind, value, reason, message, ctx.generation, ctx.now)

    if now is None:
        good = status.phase == "Certified"
        reason = status.phase
        gates_passed = make("GatesPassed", bool(status.certification), "Judged", why_nots(status))
        return [
            make("Ready", good, reason, status.message), make("Certified", good, reason, status.message), gates_passed,
        ]  # fmt: skip
    kind = "Stalled" if now.stalled else "Reconciling"
    passed = True if status.certification else None
    return [
        make("Ready", False, now.reason, now.message),
        make("Certified", None, now.reason, now.message),
        make(
            "GatesPassed",
            passed,
            "Judged" if passed else "Searching",
            _progress(status) + " candidates judged",
        ),
        make(kind, True, now.reason, now.message),
    ]


def _events(
    before: OptimizationRunStatus, after: OptimizationRunStatus, now: Situation | None
) -> list[Event]:
    """Few and telling: the baseline, each candidate's end, each certification, the end; what stalls."""
    events = []
    old = {r.id: r for r in before.candidates}
    if after.best_f32 and not before.best_f32:
        events.append(
            Event("Normal", "BaselineChosen", f"the best FP32 on {after.node} is {after.best_f32}", "Measure")
        )
    for row in after.candidates:
        was = old.get(row.id)
        if row.state == "Infeasible" and (was is None or was.state != "Infeasible"):
            events.append(
                Event("Warning", "CandidateInfeasible", f"{row.id}: {row.reason}: {row.message}", "Prepare")
            )
        elif row.verdict and (was is None or was.verdict != row.verdict):
            events.append(
                Event("Normal", f"Gates{row.verdict.value}", f"{row.id}: {_figures(row)}", "Measure")
            )
    for tried in after.certification[len([t for t in before.certification if t.verdict]) :]:
        if tried.verdict:
            kind = "Normal" if tried.verdict is Verdict.PASS else "Warning"
            note = f"{tried.candidate} at alpha {tried.alpha}: {tried.message}"
            events.append(Event(kind, f"Certification{tried.verdict.value}", note, "Certify"))  # type: ignore[arg-type]
    if now is None and not before.finished_at:
        kind = "Normal" if after.phase == "Certified" else "Warning"
        events.append(Event(kind, after.phase, after.message[:1000], "Finish"))  # type: ignore[arg-type]
    if now and now.stalled and before.phase != "Stalled":
        events.append(Event("Warning", now.reason, now.message[:1000], "Place"))
    return events


def _figures(row: CandidateResult) -> str:
    return ", ".join(f"{g.gate} {g.value} {g.verdict.value}" for g in row.gates)


__all__ = ["Situation", "Start", "Told", "ended", "told", "why_nots"]
