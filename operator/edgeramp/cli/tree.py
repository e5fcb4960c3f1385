"""EdgeModels with their targets, runs and Rollouts as one tree: the shape of `get -o json`, and its table. Pure.

Statuses are read leniently: an object of another version of the operator is shown as far as it can be understood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field
from rich.table import Table

from edgeramp.cli.screen import NARROW, Shape, plain_table, sentence, word
from edgeramp.values.names import LABEL_MODEL, label_value

Json = dict[str, Any]


class RunLine(Shape):
    """An OptimizationRun. `current`: its target stands on it; others belong to earlier revisions."""

    name: str
    current: bool
    phase: str
    progress: str
    candidate: str
    message: str


class RolloutLine(Shape):
    """A Rollout. `weight` is what the route gives to the candidate, or to stable without one."""

    namespace: str
    name: str
    phase: str
    step: str
    weight: int | None
    verdict: str
    stable: str
    candidate: str
    message: str
    next: str


class TargetLine(Shape):
    """A target with the candidate that was chosen for it, if any was."""

    name: str
    phase: str
    reason: str
    message: str
    framework: str
    precision: str
    speedup: str
    retention: str
    runs: list[RunLine]
    rollout: RolloutLine | None


class ModelLine(Shape):
    """An EdgeModel."""

    namespace: str
    name: str
    phase: str
    revision: str
    message: str
    targets: list[TargetLine]


class Tree(Shape):
    """Everything; `rollouts` are those that no EdgeModel made."""

    models: list[ModelLine] = Field(default_factory=list)
    rollouts: list[RolloutLine] = Field(default_factory=list)


def tree(models: Sequence[Json], runs: Sequence[Json], rollouts: Sequence[Json]) -> Tree:
    """The tree of these objects, in their order."""
    lines = [_model(m, runs, rollouts) for m in models]
    shown = {(t.rollout.namespace, t.rollout.name) for m in lines for t in m.targets if t.rollout}
    alone = [r for r in map(_rollout, rollouts) if (r.namespace, r.name) not in shown]
    return Tree(models=lines, rollouts=alone)


def only(whole: Tree, name: str) -> Tree:
    """What has that name: an EdgeModel with all below it, or a Rollout that stands alone."""
    return Tree(
        models=[m for m in whole.models if m.name == name],
        rollouts=[r for r in whole.rollouts if r.name == name],
    )


def table(whole: Tree, with_namespace: bool, width: int) -> Table:
    """One row per object, indented by what belongs to what; without the messages where there is no room for them."""
    made = plain_table("name", "phase", "step", "weight", "verdict")
    for column in made.columns:
        column.no_wrap = True
    if width >= NARROW:
        made.add_column("MESSAGE")
    for *short, message in rows(whole, with_namespace):
        made.add_row(*map(word, short), *([sentence(message)] if width >= NARROW else []))
    return made


def rows(whole: Tree, with_namespace: bool) -> Iterator[tuple[str, ...]]:
    """Name, phase, step, weight, verdict and message of every object, parents first."""
    for model in whole.models:
        head = f"{model.namespace}/{model.name}" if with_namespace else model.name
        yield head, model.phase, "", "", "", model.message
        for i, target in enumerate(model.targets):
            last = i == len(model.targets) - 1
            yield from _target_rows(target, "└─ " if last else "├─ ", "   " if last else "│  ")
    for rollout in whole.rollouts:
        yield _rollout_row(f"{rollout.namespace}/{rollout.name}" if with_namespace else rollout.name, rollout)


def _target_rows(target: TargetLine, branch: str, below: str) -> Iterator[tuple[str, ...]]:
    chosen = " ".join(filter(None, (target.framework, target.precision, target.speedup)))
    name = f"{branch}{target.name}" + (f": {chosen}" if chosen else "")
    yield name, target.phase, "", "", "", target.message or target.reason
    children: list[RunLine | RolloutLine] = [*target.runs, *([target.rollout] if target.rollout else [])]
    for i, child in enumerate(children):
        guide = below + ("└─ " if i == len(children) - 1 else "├─ ")
        if isinstance(child, RunLine):
            yield f"{guide}run {child.name}", child.phase, child.progress, "", "", child.message
        else:
            yield _rollout_row(f"{guide}rollout {child.name}", child)


def _rollout_row(name: str, line: RolloutLine) -> tuple[str, ...]:
    weight = "" if line.weight is None else f"{line.weight} %"
    return name, line.phase, line.step, weight, line.verdict, line.message


def _model(model: Json, runs: Sequence[Json], rollouts: Sequence[Json]) -> ModelLine:
    meta, status = model["metadata"], model.get("status") or {}
    space, name = str(meta.get("namespace", "")), str(meta["name"])
    known = {t.get("name"): t for t in status.get("targets") or []}
    mine = [r for r in runs if _space(r) == space and r["spec"].get("model") == name]
    served = [r for r in rollouts if _space(r) == space and _model_of(r) == label_value(name)]
    targets = [t["name"] for t in model["spec"].get("targets") or []]
    return ModelLine(
        namespace=space,
        name=name,
        phase=_text(status, "phase"),
        revision=_text(status, "revision"),
        message=_text(status, "message"),
        targets=[_target(t, known.get(t, {}), mine, served) for t in targets],
    )


def _target(name: str, status: Json, runs: Sequence[Json], rollouts: Sequence[Json]) -> TargetLine:
    mine = [r for r in runs if r["spec"]["target"]["name"] == name]
    rollout = next((r for r in rollouts if r["metadata"]["name"] == status.get("rollout")), None)
    return TargetLine(
        name=name,
        phase=_text(status, "phase"),
        reason=_text(status, "reason"),
        message=_text(status, "message"),
        framework=_text(status, "framework"),
        precision=_text(status, "precision"),
        speedup=_text(status, "speedup"),
        retention=_text(status, "retention"),
        runs=[_run(r, current=r["metadata"]["name"] == status.get("run")) for r in mine],
        rollout=_rollout(rollout) if rollout else None,
    )


def _run(run: Json, current: bool) -> RunLine:
    status = run.get("status") or {}
    return RunLine(
        name=run["metadata"]["name"],
        current=current,
        phase=_text(status, "phase"),
        progress=_text(status, "progress"),
        candidate=_text(status.get("winner") or {}, "candidate"),
        message=_text(status, "message"),
    )


def _rollout(rollout: Json) -> RolloutLine:
    status = rollout.get("status") or {}
    return RolloutLine(
        namespace=_space(rollout),
        name=rollout["metadata"]["name"],
        phase=_text(status, "phase"),
        step=_text(status, "step"),
        weight=status.get("weight"),
        verdict=_text(status, "verdict"),
        stable=_text(status.get("stable") or {}, "revision"),
        candidate=_text(status.get("candidate") or {}, "revision"),
        message=_text(status, "message"),
        next=_text(status, "next"),
    )


def _space(obj: Json) -> str:
    return str(obj["metadata"].get("namespace", ""))


def _model_of(rollout: Json) -> str:
    return str((rollout["metadata"].get("labels") or {}).get(LABEL_MODEL, ""))


def _text(status: Json, key: str) -> str:
    return str(status.get(key) or "")
