"""What users read about an EdgeModel: conditions, the phase derived from them, and few, telling events."""

from __future__ import annotations

from collections.abc import Sequence

from edgeramp.api.common import Condition
from edgeramp.api.edgemodel import EdgeModelStatus, TargetStatus
from edgeramp.decide.conditions import condition, find, merged
from edgeramp.decide.decision import Event
from edgeramp.decide.edgemodel.context import Context
from edgeramp.decide.edgemodel.source import SourceStep
from edgeramp.decide.gates_power import check_data, check_texts
from edgeramp.values.names import ANNOTATION_RETRY

ENDED_WITHOUT = ("NoCandidate", "Inconclusive", "Failed")
OPTIMIZED = ("Certified", "AwaitingApproval", "RollingOut", "Promoted", "RolledBack")


def told(
    ctx: Context, before: EdgeModelStatus, status: EdgeModelStatus, source: SourceStep
) -> EdgeModelStatus:
    """`status` with conditions, phase and message."""
    new = [*_source_conditions(ctx, source)]
    if source.ready:
        new.extend(_target_conditions(ctx, status.targets))
    else:
        new.extend(_unready(ctx, source))
    conditions = merged(before.conditions, new)
    ready = find(conditions, "Ready")
    phase = _phase(status, source)
    update = {
        "observed_generation": ctx.generation,
        "conditions": conditions,
        "phase": phase,
        "message": (brief(ctx, status.targets, phase) if source.ready else ready.message if ready else "")[
            :2048
        ],
    }
    return status.model_copy(update=update)


def events(before: EdgeModelStatus, after: EdgeModelStatus) -> tuple[Event, ...]:
    """The source's fate, and each change of a target's phase that somebody may wait for."""
    found = []
    for kind in ("SourceReady", "Assessed", "Admitted"):
        old, new = find(before.conditions, kind), find(after.conditions, kind)
        changed = (
            new
            and new.status != "Unknown"
            and (not old or (old.status, old.reason) != (new.status, new.reason))
        )
        if new and changed:
            if new.reason == "EnoughData":
                continue
            good = new.status == "True" and new.reason != "DataMayNotDecide"
            level = "Normal" if good else "Warning"
            found.append(Event(level, new.reason, new.message[:1000], "Stage"))  # type: ignore[arg-type]
    was = {t.name: t for t in before.targets}
    for line in after.targets:
        old_line = was.get(line.name)
        if old_line and (old_line.phase, old_line.reason) == (line.phase, line.reason):
            continue
        told_before = old_line is not None and old_line.phase == line.phase
        if line.phase in ("Optimizing", "RollingOut") and told_before:
            continue
        good = line.phase not in ("Stalled", "RolledBack", *ENDED_WITHOUT)
        table = line.phase in ENDED_WITHOUT
        note = f"{line.name}: {f'why-nots in OptimizationRun {line.run}' if table else line.message}"[:1000]
        reason = line.reason if line.phase == "Stalled" else line.phase
        found.append(Event("Normal" if good else "Warning", reason, note, "Reconcile"))
    for record in after.verbs:
        if record not in before.verbs:
            level = "Normal" if record.accepted else "Warning"
            word = f"{record.verb.capitalize()}{'Recorded' if record.accepted else 'Refused'}"
            found.append(Event(level, word, f"{record.value} {record.message}".strip(), "Answer"))  # type: ignore[arg-type]
    return tuple(found)


def _phase(status: EdgeModelStatus, source: SourceStep) -> str:
    if not source.ready:
        if source.facts.failure:
            return "SourceFailed"
        return "Staging" if source.facts.model is None else "Assessing"
    phases = [t.phase for t in status.targets]
    if all(p == "Promoted" for p in phases):
        return "Ready"
    order = (
        "RolledBack",
        "RollingOut",
        "Optimizing",
        "AwaitingApproval",
        *ENDED_WITHOUT,
        "Stalled",
        "Certified",
    )
    return next((p for p in order if p in phases), phases[0])


def _source_conditions(ctx: Context, source: SourceStep) -> list[Condition]:
    facts = source.facts
    staged = facts.model is not None
    if source.ready:
        return [
            _make(
                ctx, "SourceReady", True, "Staged", f"model {facts.model} and {len(facts.data)} data splits"
            ),
            _make(ctx, "Assessed", True, "Assessed", _assessment(source)),
            _admitted(ctx, source),
        ]
    kind = "Assessed" if staged else "SourceReady"
    first = [_make(ctx, "SourceReady", True, "Staged", f"model {facts.model}")] if staged else []
    other = [] if staged else [_make(ctx, "Assessed", None, "NotStaged", "the source is not staged")]
    if facts.failure:
        return [*first, _make(ctx, kind, False, facts.failure, facts.failure_message), *other]
    doing = "assessing" if staged else "staging"
    return [*first, _make(ctx, kind, None, doing.capitalize(), f"{doing} by a Job{source.waits}"), *other]


def _unready(ctx: Context, source: SourceStep) -> list[Condition]:
    facts = source.facts
    if facts.failure and not source.doing:
        by_itself = source.wait_until is not None
        by_hand = f" Change spec, or annotate {ANNOTATION_RETRY}=now, to try again."
        retry = " It is tried again by itself." if by_itself else by_hand
        message = f"{facts.failure_message}{'' if facts.failure_message.endswith('.') else '.'}{retry}"
        kind = "Reconciling" if source.wait_until is not None and facts.tries.failures else "Stalled"
        return [
            _make(ctx, "Ready", False, facts.failure, message),
            _make(ctx, kind, True, facts.failure, message),
        ]
    word = "Staging" if facts.model is None else "Assessing"
    return [
        _make(ctx, "Ready", False, word, f"{word.lower()} the source{source.waits}"),
        _make(ctx, "Reconciling", True, word, f"{word.lower()} the source{source.waits}"),
    ]


def _target_conditions(ctx: Context, targets: Sequence[TargetStatus]) -> list[Condition]:
    count = len(targets)
    optimized = [t for t in targets if t.phase in OPTIMIZED]
    promoted = [t for t in targets if t.phase == "Promoted"]
    failed = [t for t in targets if t.phase in ENDED_WITHOUT or t.phase == "RolledBack"]
    stalled = [t for t in targets if t.phase == "Stalled"]
    moving = [t for t in targets if t.phase in ("Optimizing", "RollingOut")]
    summary = ", ".join(f"{t.name}: {t.phase}" for t in targets)
    done = promoted if ctx.spec.rollout else optimized
    ready = len(done) == count
    good = "Promoted" if ctx.spec.rollout else "Certified"
    reason = good if ready else (failed or stalled or moving or list(targets))[0].reason or "Progressing"
    conditions = [
        _all(ctx, "Optimized", optimized, failed + stalled, count, summary),
        _make(ctx, "Ready", ready, reason, _explained(targets) if not ready else summary),
    ]
    if ctx.spec.rollout:
        conditions.append(_all(ctx, "Promoted", promoted, failed + stalled, count, summary))
    if stalled:
        names = "; ".join(f"{t.name}: {t.message}" for t in stalled)
        conditions.append(_make(ctx, "Stalled", True, stalled[0].reason, names))
    if moving:
        names = ", ".join(t.name for t in moving)
        conditions.append(_make(ctx, "Reconciling", True, moving[0].phase, names))
    return conditions


def _all(
    ctx: Context,
    kind: str,
    done: Sequence[TargetStatus],
    bad: Sequence[TargetStatus],
    count: int,
    summary: str,
) -> Condition:
    """True when all targets are there, False when one cannot get there by itself, else Unknown."""
    if len(done) == count:
        return _make(ctx, kind, True, "AllTargets", summary)
    missing = [t for t in bad if t not in done]
    if missing:
        return _make(ctx, kind, False, missing[0].reason or missing[0].phase, summary)
    return _make(ctx, kind, None, "Progressing", summary)


def brief(ctx: Context, targets: Sequence[TargetStatus], phase: str) -> str:
    """The target that the phase is about, and how far the others are: short enough for a column of `kubectl get`."""
    line = next((t for t in targets if t.phase == phase), targets[0])
    detail = _detail(line)
    told = f"{line.name}: {line.phase}{f' ({detail})' if detail else ''}"
    if len(targets) == 1:
        return told
    word = "promoted" if ctx.spec.rollout else "certified"
    done = sum(t.phase == word.capitalize() for t in targets)
    return f"{told}; {done} of {len(targets)} targets {word}"


def _detail(line: TargetStatus) -> str:
    match line.phase:
        case "Optimizing":
            return line.message if len(line.message) <= 80 else line.message[:79] + "…"
        case "Certified" | "AwaitingApproval" | "Promoted":
            return " ".join(filter(None, (line.framework, line.precision, line.speedup)))
        case "RollingOut":
            return "" if line.weight is None else f"{line.weight} %"
        case "Stalled" | "RolledBack":
            return line.reason
        case _:
            return ""


def _explained(targets: Sequence[TargetStatus]) -> str:
    return "; ".join(f"{t.name}: {t.phase}{f', {t.message}' if t.message else ''}" for t in targets)


def _admitted(ctx: Context, source: SourceStep) -> Condition:
    """A warning, not a refusal: with too few items a gate ends Inconclusive, whatever the candidate."""
    found, gates = source.facts.assessment, ctx.spec.gates
    assert found
    if ctx.spec.evaluation.metric == "perplexity":
        data = check_texts(found.items)
    else:
        data = check_data(found, gates)
    return _make(ctx, "Admitted", True, "EnoughData" if data.enough else "DataMayNotDecide", data.sentence)


def _assessment(source: SourceStep) -> str:
    found = source.facts.assessment
    assert found
    items = ", ".join(f"{n} {split}" for split, n in sorted(found.items.items()))
    warned = f"; {'; '.join(found.warnings)}" if found.warnings else ""
    return f"{found.architecture}, {found.parameters:,} parameters, {found.size_bytes:,} bytes; items: {items}{warned}"


def _make(ctx: Context, kind: str, value: bool | None, reason: str, message: str) -> Condition:
    return condition(kind, value, reason, message, ctx.generation, ctx.now)
