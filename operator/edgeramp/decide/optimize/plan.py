"""plan_run: from what is seen of an OptimizationRun to its next status and actions."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from edgeramp.api.optimizationrun import CandidateResult, OptimizationRunStatus
from edgeramp.decide.conditions import condition, merged
from edgeramp.decide.decision import Action, Create, Decision, Delete
from edgeramp.decide.hardware import Node
from edgeramp.decide.jobs import JobState
from edgeramp.decide.jobs_step import Busy, Start, Wait
from edgeramp.decide.optimize import lease, story
from edgeramp.decide.optimize.context import Context, context
from edgeramp.decide.optimize.progress import Progress, Step, advance
from edgeramp.decide.optimize.search import initial_rows
from edgeramp.decide.seen import RunSeen
from edgeramp.render.job import render_job
from edgeramp.report import PackageSpec, PrepareSpec
from edgeramp.values.quantities import timestamp

PREPARE_AT_ONCE = 4
PREPARE_AT_ONCE_SHARED = 2  # a machine that several nodes share is small; only measuring must be alone
BUSY_LOOK_SECONDS = 15.0  # Jobs wake us by a watch; this is the net below
LEASE_LOOK_SECONDS = 2.0
IDLE_LOOK_SECONDS = 60.0


def plan_run(seen: RunSeen) -> Decision:
    """Pure and total: what to do about a run now. Repeating it on the same world gives the same answer."""
    try:
        ctx = context(seen)
    except ValidationError as error:
        return _unreadable(seen, error)
    before = ctx.run.status
    if before.finished_at or seen.run["metadata"].get("deletionTimestamp"):
        return Decision(before, actions=(*lease.drop_others(seen.leases, ctx.holder, None), *_stray(ctx, ())))
    node, status = _placed(ctx, before)
    if node is None:
        drop = lease.drop_others(seen.leases, ctx.holder, None)
        after = story.told(ctx, before, status, story.no_node(ctx))
        return Decision(after.status, drop, after.events, IDLE_LOOK_SECONDS)
    progress = advance(ctx, node, status)
    if node.name in progress.status.rejected_nodes:
        after = story.told(ctx, before, progress.status, story.label_lied(node.name))
        return Decision(after.status, events=after.events, requeue_after=0.0)
    return _decision(ctx, node, before, progress)


def _decision(ctx: Context, node: Node, before: OptimizationRunStatus, progress: Progress) -> Decision:
    status, steps = progress.status, progress.steps
    strays = _stray(ctx, steps)
    if strays:
        after = story.told(ctx, before, status, story.stopping(len(strays)))
        return Decision(after.status, strays, after.events, LEASE_LOOK_SECONDS)
    if not steps:
        after = story.told(ctx, before, story.ended(ctx, status), None)
        drop = lease.drop_others(ctx.seen.leases, ctx.holder, None)
        return Decision(after.status, drop, after.events)
    if ctx.seen.secret_missing and any(isinstance(s.work.order.spec, PackageSpec) for s in steps):
        after = story.told(ctx, before, status, story.no_secret(ctx))
        drop = lease.drop_others(ctx.seen.leases, ctx.holder, None)
        return Decision(after.status, drop, after.events, IDLE_LOOK_SECONDS)
    active = [s for s in steps if isinstance(s.outcome, Start | Busy)]
    if not active:
        return _backing_off(ctx, before, status, steps)
    view = lease.lease_view(ctx.seen.leases, node.lease, ctx.now)
    drop = lease.drop_others(ctx.seen.leases, ctx.holder, node.lease)
    taking = lease.keep(view, ctx.holder)
    if view.holder != ctx.holder:
        after = story.told(ctx, before, status, story.waits_for_host(node, view.holder))
        soon = LEASE_LOOK_SECONDS if view.holder else 0.0
        return Decision(after.status, (*drop, *taking), after.events, soon)
    started = status if status.started_at else status.model_copy(update={"started_at": timestamp(ctx.now)})
    starting = _to_start(active, node)
    try:
        creations = _creations(ctx, starting)
    except KeyError as error:
        after = story.told(ctx, before, status, story.misconfigured(str(error.args[0])))
        return Decision(after.status, drop, after.events, IDLE_LOOK_SECONDS)
    after = story.told(ctx, before, started, story.working(active, starting))
    actions = (*drop, *taking, *creations)
    return Decision(after.status, actions, after.events, BUSY_LOOK_SECONDS)


def _backing_off(
    ctx: Context, before: OptimizationRunStatus, status: OptimizationRunStatus, steps: Sequence[Step]
) -> Decision:
    until = min(s.outcome.until for s in steps if isinstance(s.outcome, Wait))
    after = story.told(ctx, before, status, story.retries(steps, until - ctx.now))
    drop = lease.drop_others(ctx.seen.leases, ctx.holder, None)
    return Decision(after.status, drop, after.events, max(0.1, until - ctx.now))


def _to_start(active: Sequence[Step], node: Node) -> tuple[Step, ...]:
    """Only prepare Jobs may run side by side."""
    limit = PREPARE_AT_ONCE_SHARED if node.shared else PREPARE_AT_ONCE
    if not all(isinstance(s.work.order.spec, PrepareSpec | PackageSpec) for s in active):
        limit = 1
    busy = sum(isinstance(s.outcome, Busy) for s in active)
    return tuple(s for s in active if isinstance(s.outcome, Start))[: max(0, limit - busy)]


def _creations(ctx: Context, steps: Sequence[Step]) -> tuple[Action, ...]:
    manifests = (render_job(s.work.current, ctx.settings) for s in steps)
    return tuple(Create(m) for pair in manifests for m in pair)


def _stray(ctx: Context, steps: Sequence[Step]) -> tuple[Action, ...]:
    """Jobs that still run (or cannot start) though nobody wants them any more."""
    names = {s.work.name for s in steps}
    return tuple(
        Delete("batch/v1", "Job", ctx.owner.namespace, j.name, j.uid)
        for j in sorted(ctx.jobs.values(), key=lambda j: j.name)
        if j.state in (JobState.RUNNING, JobState.STUCK) and j.name not in names
    )


def _placed(ctx: Context, status: OptimizationRunStatus) -> tuple[Node | None, OptimizationRunStatus]:
    """The node of this run: the one chosen before while it takes pods, else the first whose machine is free.

    Figures of another node do not compare, so an unfinished search measures anew on a new node."""
    able = [n for n in ctx.nodes if n.name not in status.rejected_nodes]
    node = next((n for n in able if n.name == status.node), None)
    if node is None and able:
        node = min(able, key=lambda n: (_taken(ctx, n), n.name))
    rows: list[CandidateResult] = initial_rows(ctx.spec, status.candidates)
    if node is None:
        return None, status.model_copy(update={"candidates": rows})
    if status.node and node.name != status.node and not status.certification:
        rows = [r.model_copy(update={"measured": None, "reference": ""}) for r in rows]
    placed = {"node": node.name, "host": node.host, "isa": sorted(node.features)[:64], "candidates": rows}
    return node, status.model_copy(update=placed)


def _taken(ctx: Context, node: Node) -> bool:
    return lease.lease_view(ctx.seen.leases, node.lease, ctx.now).holder not in ("", ctx.holder)


def _unreadable(seen: RunSeen, error: ValidationError) -> Decision:
    """A bad object becomes Stalled, not a crash."""
    try:
        have = OptimizationRunStatus.model_validate(seen.run.get("status") or {})
    except ValidationError:
        have = OptimizationRunStatus()
    generation = int(seen.run["metadata"].get("generation", 0))
    where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
    stalled = condition("Stalled", True, "InvalidSpec", where, generation, seen.now)
    ready = condition("Ready", False, "InvalidSpec", where, generation, seen.now)
    update = {
        "conditions": merged(have.conditions, (stalled, ready)),
        "phase": "Stalled",
        "message": where[:2048],
    }
    return Decision(have.model_copy(update={**update, "observed_generation": generation}))
