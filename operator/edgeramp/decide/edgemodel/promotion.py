"""From a certified winner to its Rollout: approval where it is asked for, the baseline first where that is wanted."""

from __future__ import annotations

from typing import Any

from edgeramp.api.common import ServerSpec, StageMetric, Target
from edgeramp.api.edgemodel import TargetStatus
from edgeramp.api.optimizationrun import Winner
from edgeramp.api.rollout import Override, Rollout, RolloutSpec
from edgeramp.decide.conditions import find
from edgeramp.decide.decision import Apply
from edgeramp.decide.edgemodel.context import Context
from edgeramp.decide.edgemodel.targets import TargetStep
from edgeramp.decide.edgemodel.verbs import Verbs
from edgeramp.decide.optimize.stages import PRODUCTION
from edgeramp.values.names import (
    ANNOTATION_APPROVE,
    API_VERSION,
    LABEL_REVISION,
    LABEL_ROLLOUT,
    LABEL_TARGET,
    bounded_name,
    label_value,
)

BASELINE_REASON = "baseline: the original model"
BASELINE_APPROVER = "spec.rollout.start"


def rollout_name(ctx: Context, target: Target) -> str:
    """`<model>-<target>`."""
    return bounded_name(ctx.owner.name, target.name)


def promoted_step(ctx: Context, step: TargetStep, granted: Verbs, whole: str) -> TargetStep:
    """The Rollout of a target: applied when the winner may be served; the serving revision stays otherwise."""
    if ctx.spec.rollout is None:
        return step
    name = rollout_name(ctx, step.target)
    rollout = ctx.rollouts.get(name)
    line = step.status.model_copy(update={"rollout": name if rollout else ""})
    winner = step.certified
    if winner is None:
        return _with(step, _serving(line, rollout, None))
    approved = ctx.spec.promotion == "Automatic" or granted.granted(line.revision, whole)
    if not approved:
        return _with(step, _serving(_waiting(ctx, line), rollout, None))
    replicas = rollout.spec.replicas if rollout is not None else 1
    spec = _spec(ctx, step, replicas, *_artifact(step, winner, rollout))
    line = line.model_copy(update={"rollout": name})
    same = rollout is not None and rollout.spec == spec
    actions = step.actions if same else (*step.actions, Apply(_manifest(ctx, step, name, spec)))
    return TargetStep(step.target, _serving(line, rollout, winner), actions, step.run)


def _artifact(step: TargetStep, winner: Winner, rollout: Rollout | None) -> tuple[Winner, bool]:
    """What the Rollout shall serve, and whether that is the uncertified baseline."""
    baseline = step.run.status.baseline if step.run else None
    first = baseline if baseline and baseline.packaged else None
    if first is None or (rollout is not None and not _is_baseline(rollout)):
        return winner, False
    if rollout is None or not _serves(rollout, rollout.spec.artifact):
        return first, True
    return winner, False


def _is_baseline(rollout: Rollout) -> bool:
    override = rollout.spec.allow_uncertified
    return override is not None and override.reason == BASELINE_REASON


def _serves(rollout: Rollout, artifact: str) -> bool:
    """The artifact is stable, all of it, and Ready."""
    ready, stable = find(rollout.status.conditions, "Ready"), rollout.status.stable
    generation = int(rollout.metadata.get("generation", 0))
    current = ready is not None and ready.observed_generation == generation
    return bool(stable and stable.artifact == artifact and ready and ready.status == "True" and current)


def _spec(ctx: Context, step: TargetStep, replicas: int, winner: Winner, baseline: bool) -> RolloutSpec:
    wish = ctx.spec.rollout
    assert wish and winner.packaged
    target, swap = step.target.name, wish.strategy.blue_green
    if swap is not None:
        swap = swap.model_copy(update={"preview_hostnames": _prefixed(target, swap.preview_hostnames)})
    override = Override(reason=BASELINE_REASON, approved_by=BASELINE_APPROVER) if baseline else None
    return RolloutSpec(
        artifact=winner.packaged.reference,
        target=step.target,
        server=ServerSpec(framework=winner.framework, precision=winner.precision, model_name=ctx.owner.name),
        replicas=replicas if wish.replicas is None else wish.replicas,
        route=wish.route.model_copy(update={"hostnames": _prefixed(target, wish.route.hostnames)}),
        strategy=wish.strategy.model_copy(update={"blue_green": swap}),
        allow_uncertified=override,
        progress_deadline_seconds=wish.progress_deadline_seconds,
        abort_scale_down_delay_seconds=wish.abort_scale_down_delay_seconds,
    )


def _prefixed(target: str, hostnames: list[str]) -> list[str]:
    return [f"{target}.{hostname}" for hostname in hostnames]


def _manifest(ctx: Context, step: TargetStep, name: str, spec: RolloutSpec) -> dict[str, Any]:
    scaled = ctx.spec.rollout is None or ctx.spec.rollout.replicas is None
    labels = {
        **ctx.labels,
        LABEL_TARGET: label_value(step.target.name),
        LABEL_ROLLOUT: label_value(name),
        LABEL_REVISION: step.status.revision,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "Rollout",
        "metadata": {
            "name": name,
            "namespace": ctx.owner.namespace,
            "labels": labels,
            "ownerReferences": [ctx.owner.reference()],
        },
        "spec": {k: v for k, v in spec.wire().items() if k != "replicas" or not scaled},
    }


def _waiting(ctx: Context, line: TargetStatus) -> TargetStatus:
    how = f"kubectl annotate edgemodel {ctx.owner.name} -n {ctx.owner.namespace} {ANNOTATION_APPROVE}={line.revision}"
    update = {
        "phase": "AwaitingApproval",
        "reason": "AwaitingApproval",
        "message": f"{line.message}; approve: {how}",
    }
    return line.model_copy(update=update)


def _serving(line: TargetStatus, rollout: Rollout | None, winner: Winner | None) -> TargetStatus:
    """What the Rollout says of this target; `winner` None: nothing new goes out, so only its weight is told."""
    if rollout is None:
        starting = {"phase": "RollingOut", "reason": "RolloutCreated"} if winner else {}
        return line.model_copy(update=starting)
    status = rollout.status
    update: dict[str, Any] = {"weight": status.weight}
    if winner is None or winner.packaged is None:
        return line.model_copy(update=update)
    artifact = winner.packaged.reference
    ready = find(status.conditions, "Ready")
    stalled = find(status.conditions, "Stalled")
    message = status.message
    if _serves(rollout, artifact):
        update |= {"phase": "Promoted", "reason": "Promoted", "message": message, "weight": 100}
    elif rollout.spec.artifact != artifact:
        serves = "serving the original model first" if _is_baseline(rollout) else "a new artifact goes out"
        update |= {
            "phase": "RollingOut",
            "reason": "BaselineFirst",
            "message": "; ".join(filter(None, (serves, message))),
        }
    elif status.pinned:
        update |= {"phase": "RolledBack", "reason": "RollbackRequested", "message": message}
    elif status.ramp and status.ramp.aborted_at:
        reason = status.ramp.abort_reason or "Aborted"
        update |= {"phase": "RolledBack", "reason": reason, "message": status.ramp.abort_message or message}
    elif stalled:
        update |= {"phase": "Stalled", "reason": stalled.reason, "message": stalled.message}
    else:
        reason = ready.reason if ready else "RolloutCreated"
        update |= {"phase": "RollingOut", "reason": reason, "message": message}
    production = StageMetric(name=PRODUCTION, status=update["phase"], metric=(status.message or "")[:256])
    update["stages"] = [production if s.name == PRODUCTION else s for s in line.stages]
    update["message"] = str(update["message"])[:2048]
    return line.model_copy(update=update)


def _with(step: TargetStep, line: TargetStatus) -> TargetStep:
    return TargetStep(step.target, line, step.actions, step.run)
