"""The world as the planner needs it: raw objects read once into typed values. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from edgeramp.api.rollout import RolloutSpec, RolloutStatus, ServedRevision, Step
from edgeramp.decide.rollout.admission import admission
from edgeramp.decide.rollout.strategy import steps_of
from edgeramp.decide.seen import Admission, Object, RolloutSeen
from edgeramp.render.route import (
    Chosen,
    Mirror,
    Split,
    chosen_of,
    mirror_of,
    services_of,
    split_of,
    weight_of,
)
from edgeramp.render.server import ANNOTATION_SERVED, RolloutRef
from edgeramp.values import names
from edgeramp.values.errors import SpecError
from edgeramp.values.quantities import epoch

CRASH_LOOP = 3
"""From this many restarts on a container counts as crashing in a loop."""
_WAITING_IS_TROUBLE = {
    "CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError",
    "CreateContainerError", "RunContainerError",
}  # fmt: skip


@dataclass(frozen=True)
class Servers:
    """What runs of one revision. `ready` counts pods that are ready and not going; `restarts` of all its containers;
    `trouble` is what the kubelet or the scheduler says is wrong, "" when nothing is."""

    deployment: Object | None = None
    service: Object | None = None
    desired: int = 0
    ready: int = 0
    restarts: int = 0
    crash_loop: bool = False
    trouble: str = ""
    served: ServedRevision | None = None


@dataclass(frozen=True)
class RouteView:
    """The HTTPRoute as served. `refused` is what a gateway says against it, "" when nothing."""

    raw: Object | None = None
    ours: bool = False
    owner: str = ""
    split: Split = ()
    chosen: Chosen | None = None
    mirror: Mirror | None = None
    refused: str = ""


@dataclass(frozen=True)
class View:
    """Everything a decision about one Rollout depends on."""

    seen: RolloutSeen
    now: float
    ref: RolloutRef
    generation: int
    spec: RolloutSpec
    status: RolloutStatus
    wanted: ServedRevision
    annotations: Mapping[str, str]
    deleting_since: float | None
    has_finalizer: bool
    route: RouteView
    preview: RouteView
    servers: Mapping[str, Servers]

    @property
    def steps(self) -> list[Step]:
        """The steps of the strategy; those of blue-green are derived, and defaults are filled in."""
        return steps_of(self.spec.strategy)

    def of(self, revision: str) -> Servers:
        """What runs of `revision`; empty when nothing does."""
        return self.servers.get(revision, Servers())

    def weight(self, revision: str) -> int:
        """Per cent of the requests that the observed route sends to `revision`."""
        return weight_of(self.route.split, self.ref.object_name(revision))

    def chooses(self, revision: str) -> bool:
        """Whether the observed route sends requests to `revision` by a header."""
        chosen = self.route.chosen
        return (
            chosen is not None and bool(chosen.headers) and chosen.service == self.ref.object_name(revision)
        )

    def copies(self, revision: str) -> int:
        """Per cent of the requests that the observed route copies to `revision`."""
        mirror = self.route.mirror
        return (
            mirror.percent if mirror is not None and mirror.service == self.ref.object_name(revision) else 0
        )

    @property
    def admission(self) -> Admission | None:
        """Whether the wanted artifact may be served, the recorded override of the spec included."""
        return admission(self.seen.admissions.get(self.spec.artifact), self.spec, self.seen.nodes, self.now)

    def referenced(self, revision: str) -> bool:
        """Whether an observed route names the revision's Service at all."""
        name = self.ref.object_name(revision)
        return any(r.raw is not None and name in services_of(r.raw) for r in (self.route, self.preview))


def revision_of(spec: RolloutSpec) -> ServedRevision:
    """What the spec asks to serve; the revision is the hash of all that changes what runs (not of replicas)."""
    identity = {
        "artifact": spec.artifact,
        "server": spec.server.model_dump(mode="json"),
        "nodeSelector": spec.target.node_selector,
        "resources": spec.target.resources.model_dump(mode="json"),
    }
    return ServedRevision(
        revision=names.short_hash(identity),
        artifact=spec.artifact,
        framework=spec.server.framework,
        precision=spec.server.precision,
        model_name=spec.server.model_name,
        image=spec.server.image,
        node_selector=spec.target.node_selector,
        resources=spec.target.resources,
    )


def read(seen: RolloutSeen) -> View:
    """The view of `seen`. SpecError when the object is not what the schema says."""
    raw, meta = seen.rollout, seen.rollout.get("metadata", {})
    spec = _parsed_spec(raw)
    ref = RolloutRef(
        meta.get("namespace", ""), meta.get("name", ""), meta.get("uid", ""), meta.get("labels") or {}
    )
    gone = meta.get("deletionTimestamp")
    return View(
        seen=seen,
        now=seen.now,
        ref=ref,
        generation=int(meta.get("generation", 0)),
        spec=spec,
        status=status_of(raw),
        wanted=revision_of(spec),
        annotations=meta.get("annotations") or {},
        deleting_since=epoch(gone) if gone else None,
        has_finalizer=names.FINALIZER_ROLLOUT in (meta.get("finalizers") or []),
        route=_route(seen.route, ref),
        preview=_route(seen.preview, ref),
        servers=_servers(seen, ref),
    )


def status_of(raw: Object) -> RolloutStatus:
    """The status as recorded. SpecError when it cannot be read: nothing may be forgotten by accident."""
    try:
        return RolloutStatus.model_validate(raw.get("status") or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SpecError(
            f"status.{where}", f"cannot be read: {first['msg']}; clear the status to start anew"
        ) from error


def _parsed_spec(raw: Object) -> RolloutSpec:
    try:
        return RolloutSpec.model_validate(raw.get("spec") or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SpecError(f"spec.{where}", str(first["msg"])) from error


def _route(raw: Object | None, ref: RolloutRef) -> RouteView:
    if raw is None:
        return RouteView()
    owners = raw.get("metadata", {}).get("ownerReferences") or []
    ours = any(o.get("uid") == ref.uid for o in owners)
    owner = ", ".join(f"{o.get('kind')} {o.get('name')}" for o in owners) or "nobody"
    return RouteView(raw, ours, owner, split_of(raw), chosen_of(raw), mirror_of(raw), _refused(raw))


def _refused(raw: Object) -> str:
    """What a parent says against the current generation of the route."""
    generation = raw.get("metadata", {}).get("generation")
    for parent in (raw.get("status") or {}).get("parents") or []:
        for found in parent.get("conditions") or []:
            current = generation is None or found.get("observedGeneration", generation) == generation
            if found.get("type") == "Accepted" and found.get("status") == "False" and current:
                return f"{found.get('reason', '')}: {found.get('message', '')}"
    return ""


def _servers(seen: RolloutSeen, ref: RolloutRef) -> dict[str, Servers]:
    deployments = {_revision(d): d for d in seen.deployments if _ours(d, ref)}
    services = {_revision(s): s for s in seen.services if _ours(s, ref)}
    pods: dict[str, list[Object]] = {}
    for pod in seen.pods:
        pods.setdefault(_revision(pod), []).append(pod)
    found = set(deployments) | set(services)
    return {r: _one(deployments.get(r), services.get(r), tuple(pods.get(r, ()))) for r in sorted(found)}


def _ours(raw: Object, ref: RolloutRef) -> bool:
    owners = raw.get("metadata", {}).get("ownerReferences") or []
    return any(o.get("uid") == ref.uid for o in owners)


def _revision(raw: Object) -> str:
    return str((raw.get("metadata", {}).get("labels") or {}).get(names.LABEL_REVISION, ""))


def _one(deployment: Object | None, service: Object | None, pods: tuple[Object, ...]) -> Servers:
    desired = int((deployment or {}).get("spec", {}).get("replicas", 0))
    live = [p for p in pods if not p.get("metadata", {}).get("deletionTimestamp")]
    statuses = [c for p in live for c in _containers(p)]
    return Servers(
        deployment=deployment,
        service=service,
        desired=desired,
        ready=sum(_pod_ready(p) for p in live) if deployment else 0,
        restarts=sum(int(c.get("restartCount", 0)) for c in statuses),
        crash_loop=any(_crashing(c) for c in statuses),
        trouble=next(filter(None, (_trouble(p) for p in live)), ""),
        served=_served(deployment),
    )


def _served(deployment: Object | None) -> ServedRevision | None:
    """What the Deployment says it was rendered from; None when it says nothing that can be read."""
    annotations = (deployment or {}).get("metadata", {}).get("annotations") or {}
    try:
        return ServedRevision.model_validate_json(annotations.get(ANNOTATION_SERVED, ""))
    except ValidationError:
        return None


def _containers(pod: Object) -> list[Mapping[str, Any]]:
    return list((pod.get("status") or {}).get("containerStatuses") or [])


def _pod_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _crashing(status: Mapping[str, Any]) -> bool:
    waiting = (status.get("state") or {}).get("waiting") or {}
    return waiting.get("reason") == "CrashLoopBackOff" or int(status.get("restartCount", 0)) >= CRASH_LOOP


def _trouble(pod: Object) -> str:
    name, status = pod.get("metadata", {}).get("name", ""), pod.get("status") or {}
    for found in status.get("conditions") or []:
        if found.get("type") == "PodScheduled" and found.get("status") == "False":
            return f"pod {name} has no node: {found.get('message', '')}"
    for one in [*(status.get("initContainerStatuses") or []), *_containers(pod)]:
        waiting = (one.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _WAITING_IS_TROUBLE:
            last = ((one.get("lastState") or {}).get("terminated") or {}).get("message") or waiting.get(
                "message", ""
            )
            return f"{waiting['reason']} in container {one.get('name', '')} of pod {name}: {last}".rstrip(
                ": "
            )
    return ""
