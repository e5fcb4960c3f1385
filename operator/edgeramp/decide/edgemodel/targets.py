"""One target of an EdgeModel: its revision, its OptimizationRun, its Rollout, and the line in status about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgeramp.api.common import Target
from edgeramp.api.edgemodel import StagedFacts, TargetStatus
from edgeramp.api.optimizationrun import OptimizationRun, OptimizationRunSpec, RunData, Winner
from edgeramp.decide.conditions import find
from edgeramp.decide.decision import Action, Create
from edgeramp.decide.edgemodel.context import Context
from edgeramp.decide.hardware import Node, common_features, matching_nodes, why_none
from edgeramp.recipes.choice import expand, row_for
from edgeramp.recipes.common import Situation
from edgeramp.values.names import (
    API_VERSION,
    LABEL_REVISION,
    LABEL_TARGET,
    bounded_name,
    label_value,
    short_hash,
)


@dataclass(frozen=True)
class TargetStep:
    """What is decided for one target. `certified`: its run ended well; `run_spec`: the run exists or is being created."""

    target: Target
    status: TargetStatus
    actions: tuple[Action, ...] = ()
    run: OptimizationRun | None = None

    @property
    def certified(self) -> Winner | None:
        """The packaged winner of a run that has ended well: then its baseline is packaged too, where it is wanted."""
        if self.run is None:
            return None
        said, winner = find(self.run.status.conditions, "Certified"), self.run.status.winner
        return winner if winner and winner.packaged and said and said.status == "True" else None


def target_revision(ctx: Context, facts: StagedFacts, target: Target) -> str:
    """The hash of model, data, target, gates, frameworks and objective; tool images are not part of it."""
    spec = ctx.spec
    return short_hash(
        {
            "model": facts.model,
            "format": spec.source.format,
            "data": facts.data,
            "metric": spec.evaluation.metric,
            "target": target.wire(),
            "gates": spec.gates.explicit().wire(),
            "frameworks": spec.frameworks,
            "objective": spec.objective.wire(),
        }
    )


def run_name(ctx: Context, target: Target, revision: str) -> str:
    """`<model>-<target>-<revision>`, shortened by a hash where it would not fit."""
    return bounded_name(ctx.owner.name, target.name, revision, limit=63)


def target_step(ctx: Context, facts: StagedFacts, target: Target) -> TargetStep:
    """The run of this target: created when a node matches, read once it is there."""
    nodes = matching_nodes(ctx.nodes, target.node_selector)
    revision = target_revision(ctx, facts, target)
    name = run_name(ctx, target, revision)
    base = TargetStatus(name=target.name, nodes=len(nodes), revision=revision, run=name)
    run = ctx.runs.get(name)
    if run is not None:
        return TargetStep(target, _from_run(base, run), run=run)
    if not nodes:
        why = f"{why_none(ctx.nodes, target.node_selector)}; resumes when such a node is Ready"
        stalled = {"phase": "Stalled", "reason": "NoMatchingNode", "message": why, "run": ""}
        return TargetStep(target, base.model_copy(update=stalled))
    spec = run_spec(ctx, facts, target, revision, nodes)
    if spec is None:
        why = "no framework that is allowed here can run this model; widen spec.frameworks"
        return TargetStep(
            target, base.model_copy(update={"phase": "Stalled", "reason": "NoFramework", "message": why})
        )
    pending = {"phase": "Optimizing", "reason": "RunCreated", "message": f"{len(spec.candidates)} candidates"}
    return TargetStep(target, base.model_copy(update=pending), (Create(_run(ctx, target, name, spec)),))


def run_spec(
    ctx: Context, facts: StagedFacts, target: Target, revision: str, nodes: tuple[Node, ...]
) -> OptimizationRunSpec | None:
    """Everything pinned by digest, candidates expanded with the reason of every choice; None without candidates."""
    assert facts.model and facts.assessment
    features, labels = common_features(nodes), nodes[0].labels
    situation = Situation(facts.assessment, features, ctx.spec.task)
    expansion = expand(situation, row_for(situation, labels), target.frameworks or ctx.spec.frameworks)
    if not expansion.candidates:
        return None
    rollout = ctx.spec.rollout
    return OptimizationRunSpec(
        model=ctx.owner.name,
        revision=revision,
        target=target,
        source=facts.model,
        format=ctx.spec.source.format,
        data=RunData(**facts.data),
        metric=ctx.spec.evaluation.metric,
        gates=ctx.spec.gates.explicit(),
        objective=ctx.spec.objective,
        benchmark=ctx.spec.benchmark,
        candidates=list(expansion.candidates),
        choices=list(expansion.choices),
        exclusions=list(expansion.exclusions),
        package_baseline=bool(rollout and rollout.start == "Baseline"),
    )


def _run(ctx: Context, target: Target, name: str, spec: OptimizationRunSpec) -> dict[str, Any]:
    labels = {**ctx.labels, LABEL_TARGET: label_value(target.name), LABEL_REVISION: spec.revision}
    return {
        "apiVersion": API_VERSION,
        "kind": "OptimizationRun",
        "metadata": {
            "name": name,
            "namespace": ctx.owner.namespace,
            "labels": labels,
            "ownerReferences": [ctx.owner.reference()],
        },
        "spec": spec.wire(),
    }


def _from_run(base: TargetStatus, run: OptimizationRun) -> TargetStatus:
    """What the run says, in one line."""
    status = run.status
    certified = find(status.conditions, "Certified")
    stalled = find(status.conditions, "Stalled")
    update: dict[str, Any] = {"message": status.message, "stages": status.stages}
    if certified and certified.status == "True" and status.winner and status.winner.packaged:
        update |= {"phase": "Certified", "reason": "Certified", **_figures(run)}
    elif certified and certified.status == "False":
        update |= {"phase": certified.reason, "reason": certified.reason}
    elif stalled:
        update |= {"phase": "Stalled", "reason": stalled.reason, "message": stalled.message}
    else:
        progress = f"{status.progress} candidates judged; {status.message}" if status.progress else "starting"
        reason = certified.reason if certified else "Starting"
        update |= {"phase": "Optimizing", "reason": reason, "message": progress[:2048]}
    return base.model_copy(update=update)


def _figures(run: OptimizationRun) -> dict[str, Any]:
    winner = run.status.winner
    assert winner and winner.packaged
    row = next((r for r in run.status.candidates if r.id == winner.candidate), None)
    tried = next((t for t in run.status.certification if t.candidate == winner.candidate), None)
    update: dict[str, Any] = {
        "framework": winner.framework,
        "precision": winner.precision,
        "artifact": winner.packaged.reference,
        "baseline_artifact": run.status.baseline_package.reference if run.status.baseline_package else None,
    }
    if row and row.measured:
        update["speedup"] = f"{row.measured.latency.speedup:.2f}x"
    if tried and tried.quality:
        update["retention"] = f"{tried.quality.retention:.4f}"
    return update
