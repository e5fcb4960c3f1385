"""plan_edgemodel: from what is seen of an EdgeModel to its next status and actions."""

from __future__ import annotations

from pydantic import ValidationError

from edgeramp.api.edgemodel import EdgeModelStatus
from edgeramp.decide.conditions import condition, merged
from edgeramp.decide.decision import Action, Create, Decision, Delete
from edgeramp.decide.edgemodel import story
from edgeramp.decide.edgemodel.cleanup import retried, superseded, unwanted_rollouts
from edgeramp.decide.edgemodel.context import Context, context
from edgeramp.decide.edgemodel.promotion import promoted_step
from edgeramp.decide.edgemodel.source import SourceStep, source_step, unwanted
from edgeramp.decide.edgemodel.targets import TargetStep, target_step
from edgeramp.decide.edgemodel.verbs import Verbs, answer, retry_asked
from edgeramp.decide.seen import EdgeModelSeen
from edgeramp.render.job import render_job
from edgeramp.values.names import short_hash

IDLE_LOOK_SECONDS = 60.0
BUSY_LOOK_SECONDS = 15.0


def plan_edgemodel(seen: EdgeModelSeen) -> Decision:
    """Pure and total: what to do about an EdgeModel now. Repeating it on the same world gives the same answer."""
    try:
        ctx = context(seen)
    except ValidationError as error:
        return _unreadable(seen, error)
    if seen.model["metadata"].get("deletionTimestamp"):
        return Decision(ctx.model.status)  # what it owns goes with it; nothing is made anew meanwhile
    source = source_step(ctx, retry_asked(ctx))
    if not source.ready:
        return _source_decision(ctx, source)
    steps = [target_step(ctx, source.facts, t) for t in ctx.spec.targets]
    revision = short_hash([s.status.revision for s in steps])
    verbs = answer(ctx, [revision, *(s.status.revision for s in steps)])
    steps = [promoted_step(ctx, s, verbs, revision) for s in steps]
    before = ctx.model.status
    status = before.model_copy(
        update={
            "staged": source.facts,
            "revision": revision,
            "targets": [s.status for s in steps],
            "verbs": verbs.records,
            "answered": verbs.answered,
        }
    )
    return _targets_decision(ctx, source, steps, verbs, status)


def _source_decision(ctx: Context, source: SourceStep) -> Decision:
    """The source is being staged or assessed, or is refused; what serves now keeps serving."""
    actions: list[Action] = [
        Delete("batch/v1", "Job", ctx.owner.namespace, name, uid) for name, uid in unwanted(ctx, source)
    ]
    if source.start and source.work:
        try:
            actions.extend(Create(m) for m in render_job(source.work.current, ctx.settings))
        except KeyError as error:
            return _misconfigured(ctx, str(error.args[0]))
    verbs = answer(ctx, ())
    before = ctx.model.status
    update = {"staged": source.facts, "verbs": verbs.records, "answered": verbs.answered}
    status = before.model_copy(update=update)
    after = story.told(ctx, before, status, source)
    wait = BUSY_LOOK_SECONDS if source.doing else None
    if source.wait_until is not None:
        wait = max(0.1, source.wait_until - ctx.now)
    events = story.events(before, after)
    wait = 0.0 if verbs.fresh else wait
    return Decision(after, (*actions, *unwanted_rollouts(ctx), *verbs.actions), events, wait)


def _misconfigured(ctx: Context, message: str) -> Decision:
    """The chart names no image: only an administrator can help."""
    new = [
        condition(kind, kind == "Stalled", "ImageNotConfigured", message, ctx.generation, ctx.now)
        for kind in ("Ready", "Stalled")
    ]
    have = ctx.model.status
    update = {"conditions": merged(have.conditions, new), "phase": "Stalled", "message": message}
    return Decision(have.model_copy(update=update), requeue_after=IDLE_LOOK_SECONDS)


def _targets_decision(
    ctx: Context, source: SourceStep, steps: list[TargetStep], verbs: Verbs, status: EdgeModelStatus
) -> Decision:
    before = ctx.model.status
    after = story.told(ctx, before, status, source)
    actions = [
        *(Delete("batch/v1", "Job", ctx.owner.namespace, name, uid) for name, uid in unwanted(ctx, source)),
        *(a for s in steps for a in s.actions),
        *superseded(ctx, steps),
        *retried(ctx, steps),
        *unwanted_rollouts(ctx),
        *verbs.actions,
    ]
    wait = 0.0 if verbs.fresh else IDLE_LOOK_SECONDS
    return Decision(after, tuple(actions), story.events(before, after), wait)


def _unreadable(seen: EdgeModelSeen, error: ValidationError) -> Decision:
    """A bad object becomes Stalled, not a crash; the facts in its status are kept where they can be read."""
    where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
    try:
        have = EdgeModelStatus.model_validate(seen.model.get("status") or {})
    except ValidationError:
        have = EdgeModelStatus()
    generation = int(seen.model["metadata"].get("generation", 0))
    stalled = condition("Stalled", True, "InvalidSpec", where, generation, seen.now)
    ready = condition("Ready", False, "InvalidSpec", where, generation, seen.now)
    update = {
        "conditions": merged(have.conditions, (stalled, ready)),
        "phase": "Stalled",
        "message": where[:2048],
    }
    return Decision(have.model_copy(update={**update, "observed_generation": generation}))
