"""The EdgeModel as the rest of the plan needs it: parsed once, with its Jobs, runs and Rollouts read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeramp.api.edgemodel import EdgeModel, EdgeModelSpec
from edgeramp.api.optimizationrun import OptimizationRun
from edgeramp.api.rollout import Rollout
from edgeramp.decide.jobs import JobView, view
from edgeramp.decide.optimize.context import store_of
from edgeramp.decide.seen import EdgeModelSeen, Object
from edgeramp.render.job import Owner
from edgeramp.report import RunRef, Store
from edgeramp.values.names import LABEL_MANAGED_BY, LABEL_MODEL, label_value
from edgeramp.values.settings import Settings


@dataclass(frozen=True)
class Context:
    """What does not change while a decision is made."""

    now: float
    model: EdgeModel
    owner: Owner
    generation: int
    settings: Settings
    jobs: Mapping[str, JobView]
    runs: Mapping[str, OptimizationRun]
    rollouts: Mapping[str, Rollout]
    nodes: tuple[Object, ...]
    annotations: Mapping[str, str]
    resource_version: str

    @property
    def spec(self) -> EdgeModelSpec:
        return self.model.spec

    @property
    def run_ref(self) -> RunRef:
        return RunRef(
            kind="EdgeModel",
            namespace=self.owner.namespace,
            name=self.owner.name,
            uid=self.owner.uid,
            generation=self.generation,
        )

    @property
    def store(self) -> Store:
        return store_of(self.settings, self.owner.namespace, self.owner.name)

    @property
    def labels(self) -> dict[str, str]:
        return {LABEL_MANAGED_BY: "edgeramp", LABEL_MODEL: label_value(self.owner.name)}


def context(seen: EdgeModelSeen) -> Context:
    """Raises pydantic.ValidationError where the spec is not one this operator understands."""
    meta = seen.model["metadata"]
    return Context(
        now=seen.now,
        model=EdgeModel.model_validate(seen.model),
        owner=Owner("EdgeModel", meta["namespace"], meta["name"], meta["uid"]),
        generation=int(meta.get("generation", 0)),
        settings=seen.settings,
        jobs={j["metadata"]["name"]: view(j, seen.pods, seen.now) for j in seen.jobs},
        runs={r["metadata"]["name"]: OptimizationRun.model_validate(r) for r in seen.runs},
        rollouts={r["metadata"]["name"]: Rollout.model_validate(r) for r in seen.rollouts},
        nodes=seen.nodes,
        annotations=meta.get("annotations") or {},
        resource_version=str(meta.get("resourceVersion", "")),
    )
