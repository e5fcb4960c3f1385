"""Old OptimizationRuns: those still searching for a revision that nobody wants stop at once, finished ones are kept a while."""

from __future__ import annotations

from collections.abc import Sequence

from edgeramp.api.optimizationrun import OptimizationRun
from edgeramp.decide.decision import Action, Delete, DropLease
from edgeramp.decide.edgemodel.context import Context
from edgeramp.decide.edgemodel.targets import TargetStep
from edgeramp.decide.hardware import lease_name
from edgeramp.decide.optimize.context import holder_name
from edgeramp.values.names import ANNOTATION_RETRY, API_VERSION, LABEL_TARGET, label_value

KEEP_FINISHED = 3


def superseded(ctx: Context, steps: Sequence[TargetStep]) -> tuple[Action, ...]:
    """Delete runs that no target wants: unfinished ones, and finished ones beyond the newest three per target, except
    those whose artifacts a Rollout knows."""
    wanted = {s.status.run for s in steps}
    served = _served(ctx)
    old = [(name, run) for name, run in ctx.runs.items() if name not in wanted]
    doomed = [name for name, run in old if not run.status.finished_at]
    by_target: dict[str, list[tuple[str, str]]] = {}
    for name, run in old:
        if run.status.finished_at and not (_artifacts(run) & served):
            by_target.setdefault(run.spec.target.name, []).append((run.status.finished_at, name))
    for finished in by_target.values():
        doomed.extend(name for _, name in sorted(finished, reverse=True)[KEEP_FINISHED:])
    runs = dict(old)
    stopping = (
        a for name in sorted(doomed) for a in (_deleted(ctx, name, runs[name]), *_freed(ctx, runs[name]))
    )
    return tuple(stopping)


def _deleted(ctx: Context, name: str, run: OptimizationRun) -> Delete:
    uid = str(run.metadata.get("uid", "")) or None
    return Delete(API_VERSION, "OptimizationRun", ctx.owner.namespace, name, uid)


def _freed(ctx: Context, run: OptimizationRun) -> tuple[Action, ...]:
    """The measurement Lease of a run that is stopped: nobody else would give it back before it runs out."""
    if run.status.finished_at or not run.status.host:
        return ()
    uid, name = str(run.metadata.get("uid", "")), str(run.metadata["name"])
    return (DropLease(lease_name(run.status.host), holder_name(ctx.owner.namespace, name, uid)),)


def retried(ctx: Context, steps: Sequence[TargetStep]) -> tuple[Action, ...]:
    """With the annotation `edgeramp.dev/retry`: runs that ended without a winner are deleted, and so made again."""
    if ANNOTATION_RETRY not in ctx.annotations:
        return ()
    ended = [s.run for s in steps if s.run and s.run.status.finished_at and not s.certified]
    return tuple(_deleted(ctx, str(run.metadata["name"]), run) for run in ended)


def unwanted_rollouts(ctx: Context) -> tuple[Action, ...]:
    """Rollouts of targets that the spec has no more; each one's finalizer takes its traffic away first."""
    wanted = {label_value(t.name) for t in ctx.spec.targets} if ctx.spec.rollout else set()
    return tuple(
        Delete(
            API_VERSION, "Rollout", ctx.owner.namespace, name, str(rollout.metadata.get("uid", "")) or None
        )
        for name, rollout in sorted(ctx.rollouts.items())
        if (rollout.metadata.get("labels") or {}).get(LABEL_TARGET) not in wanted
    )


def _artifacts(run: OptimizationRun) -> set[str]:
    packages = (w.packaged for w in (run.status.winner, run.status.baseline) if w)
    return {p.reference for p in packages if p}


def _served(ctx: Context) -> set[str]:
    known: set[str] = set()
    for rollout in ctx.rollouts.values():
        known.add(rollout.spec.artifact)
        known.update(r.artifact for r in (rollout.status.stable, rollout.status.candidate) if r)
        known.update(h.artifact for h in rollout.status.history)
    return known
