"""The run as the rest of the plan needs it: parsed once, with its Jobs read and its node chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeramp.api.optimizationrun import OptimizationRun, OptimizationRunSpec
from edgeramp.decide.hardware import Node, matching_nodes
from edgeramp.decide.jobs import JobView, view
from edgeramp.decide.seen import RunSeen
from edgeramp.render.job import Owner
from edgeramp.report import RunRef, Store
from edgeramp.values.names import LABEL_MODEL, LABEL_REVISION, LABEL_RUN, LABEL_TARGET, label_value
from edgeramp.values.settings import Settings


@dataclass(frozen=True)
class Context:
    """What does not change while a decision is made. `nodes`: those of the target that take pods."""

    now: float
    run: OptimizationRun
    owner: Owner
    generation: int
    settings: Settings
    jobs: Mapping[str, JobView]
    nodes: tuple[Node, ...]
    seen: RunSeen

    @property
    def spec(self) -> OptimizationRunSpec:
        return self.run.spec

    @property
    def holder(self) -> str:
        """Who holds a measurement Lease, readable in `kubectl get lease`."""
        return holder_name(self.owner.namespace, self.owner.name, self.owner.uid)

    @property
    def run_ref(self) -> RunRef:
        return RunRef(
            kind="OptimizationRun",
            namespace=self.owner.namespace,
            name=self.owner.name,
            uid=self.owner.uid,
            generation=self.generation,
        )

    @property
    def store(self) -> Store:
        return store_of(self.settings, self.owner.namespace, self.spec.model)

    @property
    def labels(self) -> Mapping[str, str]:
        return {
            LABEL_MODEL: label_value(self.spec.model),
            LABEL_TARGET: label_value(self.spec.target.name),
            LABEL_RUN: label_value(self.owner.name),
            LABEL_REVISION: self.spec.revision,
        }


def holder_name(namespace: str, run: str, uid: str) -> str:
    """`<namespace>/<run>/<begin of its uid>`."""
    return f"{namespace}/{run}/{uid[:8]}"


def store_of(settings: Settings, namespace: str, model: str) -> Store:
    """One repository per namespace and model."""
    return Store(
        host=settings.store_host, repository=f"{namespace}/{model}", plain_http=settings.store_plain_http
    )


def context(seen: RunSeen) -> Context:
    """Raises pydantic.ValidationError where the run's spec is not one this operator understands."""
    run = OptimizationRun.model_validate(seen.run)
    meta = seen.run["metadata"]
    return Context(
        now=seen.now,
        run=run,
        owner=Owner("OptimizationRun", meta["namespace"], meta["name"], meta["uid"]),
        generation=int(meta.get("generation", 0)),
        settings=seen.settings,
        jobs={j["metadata"]["name"]: view(j, seen.pods, seen.now) for j in seen.jobs},
        nodes=matching_nodes(seen.nodes, run.spec.target.node_selector),
        seen=seen,
    )
