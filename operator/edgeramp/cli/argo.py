"""From an Argo Rollout to ours: every field is taken over, changed with a word, or named as lost. Pure.

A field that this module does not know is named too: nothing of the manifest goes missing without a note.
Source: argoproj.io/v1alpha1 Rollout, docs/features/specification.md of argo-rollouts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgeramp.values.names import GROUP, VERSION

Json = dict[str, Any]
Kind = Literal["Changed", "Lost", "Needed"]
ANALYSIS_NOTE = (
    "errors and latency are judged without a template (strategy.analysis); this one has no counterpart"
)
PLACEHOLDERS = {
    "artifact": "oci://REGISTRY/REPOSITORY@sha256:DIGEST",
    "framework": "FRAMEWORK",
    "gateway": "GATEWAY",
    "hostname": "HOST.EXAMPLE",
}
"""What stands in the manifest where only a person knows better; the API server refuses it with the same words."""


@dataclass(frozen=True)
class Note:
    """What became of one field. `path` is that of the Argo manifest, from `spec` on."""

    path: str
    kind: Kind
    text: str


@dataclass(frozen=True)
class Given:
    """What no Argo manifest knows; None is written as a placeholder and noted as needed."""

    artifact: str | None = None
    framework: str | None = None
    precision: str = "f32"
    gateway: str | None = None
    hostname: str | None = None


@dataclass(frozen=True)
class Converted:
    manifest: Json
    notes: tuple[Note, ...]

    @property
    def complete(self) -> bool:
        """Nothing is left for a person to fill in."""
        return not any(n.kind == "Needed" for n in self.notes)


class NotAnArgoRollout(ValueError):
    """The document is something else; the message says what."""


@dataclass
class _Reader:
    """The Argo spec, and which of its fields were read."""

    spec: Mapping[str, Any]
    notes: list[Note] = field(default_factory=list)
    read: set[str] = field(default_factory=set)

    def get(self, path: str, default: Any = None) -> Any:
        """The value at `spec.…`; it counts as taken over."""
        self.read.add(path)
        found: Any = {"spec": self.spec}
        for part in path.split("."):
            if not isinstance(found, Mapping) or part not in found:
                return default
            found = found[part]
        return found

    def has(self, path: str) -> bool:
        before = set(self.read)
        present = self.get(path) is not None
        self.read = before
        return present

    def note(self, path: str, kind: Kind, text: str) -> None:
        self.read.add(path)
        self.notes.append(Note(path, kind, text))

    def unread(self) -> Iterator[str]:
        """The topmost fields that nobody has read."""
        yield from self._unread("spec", self.spec)

    def _unread(self, path: str, value: Any) -> Iterator[str]:
        if path in self.read:
            return
        below = [r for r in self.read if r.startswith(f"{path}.")]
        if not below or not isinstance(value, Mapping):
            yield path
            return
        for key, inner in value.items():
            yield from self._unread(f"{path}.{key}", inner)


def convert(argo: Mapping[str, Any], given: Given = Given()) -> Converted:
    """Our Rollout for an Argo Rollout. Raises NotAnArgoRollout for any other document."""
    kind, version = argo.get("kind"), str(argo.get("apiVersion", ""))
    if kind != "Rollout" or not version.startswith("argoproj.io/"):
        raise NotAnArgoRollout(f"this is {version} {kind}; write the manifest of an argoproj.io Rollout")
    read, meta = _Reader(argo.get("spec") or {}), argo.get("metadata") or {}
    name = str(meta.get("name", ""))
    spec: Json = {
        "artifact": _needed(
            read, given.artifact, "artifact", "push the model as an OCI artifact and name it by digest"
        ),
        "target": _target(read),
        "server": {
            "framework": _needed(read, given.framework, "framework", "say which server executes the model"),
            "precision": given.precision,
            "modelName": re.sub(r"[^a-z0-9-]", "-", name.lower()) or "model",
        },
        "route": _route(read, given),
        **_whole(read),
        "strategy": _strategy(read),
    }
    _containers(read)
    for path in read.unread():
        read.notes.append(Note(path, "Lost", "no counterpart"))
    kept = {k: v for k, v in meta.items() if k in ("name", "namespace", "labels")}
    manifest = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Rollout", "metadata": kept, "spec": spec}
    return Converted(manifest, tuple(read.notes))


def _needed(read: _Reader, value: str | None, name: str, what: str) -> str:
    if value is None:
        read.notes.append(Note(f"--{name}", "Needed", f"{what} (--{name})"))
    return value or PLACEHOLDERS[name]


def _target(read: _Reader) -> Json:
    pod = "spec.template.spec"
    selector = read.get(f"{pod}.nodeSelector") or {}
    if not selector:
        read.notes.append(
            Note(f"{pod}.nodeSelector", "Needed", "say which nodes the model runs on: target.nodeSelector")
        )
    for lost in ("affinity", "tolerations", "topologySpreadConstraints"):
        if read.has(f"{pod}.{lost}"):
            read.note(
                f"{pod}.{lost}",
                "Lost",
                "servers go to the nodes of target.nodeSelector with certified CPU features",
            )
    containers = read.get(f"{pod}.containers") or [{}]
    resources = containers[0].get("resources") or {}
    amounts = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    known = {k: str(v) for k, v in amounts.items() if k in ("cpu", "memory")}
    for other in sorted(set(amounts) - {"cpu", "memory"}):
        read.note(f"{pod}.containers[0].resources.{other}", "Lost", "only cpu and memory are allotted")
    return {"name": "default", "nodeSelector": selector} | ({"resources": known} if known else {})


def _containers(read: _Reader) -> None:
    """What ran in the pods is not what will."""
    pod = "spec.template.spec"
    containers = read.get(f"{pod}.containers") or []
    if containers:
        image = containers[0].get("image", "")
        text = f"the model server of `framework` takes the place of {image or 'the container'}, with its own probes and metrics"
        read.note(f"{pod}.containers[0]", "Changed", text)
    for i, other in enumerate(containers[1:], 1):
        read.note(
            f"{pod}.containers[{i}]", "Lost", f"no place for a second container ({other.get('name', '')})"
        )
    if read.has("spec.template.metadata"):
        read.note("spec.template.metadata", "Lost", "pods carry the operator's labels")
    if read.has("spec.selector"):
        read.note("spec.selector", "Changed", "each revision has a Service and selector of its own")
    if read.has("spec.workloadRef"):
        read.note(
            "spec.workloadRef",
            "Lost",
            "a Rollout of ours makes its Deployments itself; read the resources from there",
        )


def _route(read: _Reader, given: Given) -> Json:
    canary = "spec.strategy.canary"
    routing = read.get(f"{canary}.trafficRouting") or {}
    plugin = (routing.get("plugins") or {}).get("argoproj-labs/gatewayAPI") or {}
    where = f"of HTTPRoute {plugin['httpRoute']}" if plugin.get("httpRoute") else "of the Gateway API"
    for used in sorted(routing):
        read.note(
            f"{canary}.trafficRouting.{used}",
            "Changed",
            "weights are set on an HTTPRoute that the operator owns",
        )
    gateway = _needed(read, given.gateway, "gateway", f"name the Gateway {where}")
    hostname = _needed(read, given.hostname, "hostname", f"name the host {where}")
    for service in ("canaryService", "stableService"):
        if read.has(f"{canary}.{service}"):
            read.note(f"{canary}.{service}", "Changed", "a Service per revision takes its place")
    return {"gatewayRef": {"name": gateway}, "hostnames": [hostname], "path": "/"}


def _whole(read: _Reader) -> Json:
    """Fields with the same meaning. Where defaults differ, Argo's is written out."""
    abort = bool(read.get("spec.progressDeadlineAbort", False))
    how = "blueGreen" if read.has("spec.strategy.blueGreen") else "canary"
    spec: Json = {
        "replicas": read.get("spec.replicas", 1),
        "progressDeadlineSeconds": read.get("spec.progressDeadlineSeconds", 600),
        "onProgressDeadline": "Abort" if abort else "Hold",
        "rollbackWindow": {"revisions": read.get("spec.rollbackWindow.revisions", 0)},
        "abortScaleDownDelaySeconds": read.get(f"spec.strategy.{how}.abortScaleDownDelaySeconds", 30),
    }
    if read.get("spec.paused"):
        spec["paused"] = True
    return spec


def _strategy(read: _Reader) -> Json:
    if read.has("spec.strategy.blueGreen"):
        return {"blueGreen": _blue_green(read, "spec.strategy.blueGreen")}
    canary = "spec.strategy.canary"
    if read.has(f"{canary}.analysis"):
        read.note(f"{canary}.analysis", "Lost", ANALYSIS_NOTE)
    steps: list[Json] = []
    for i, step in enumerate(read.get(f"{canary}.steps") or []):
        made = _step(read, f"{canary}.steps[{i}]", step)
        steps += [made] if made else []
    return {"steps": steps}


def _blue_green(read: _Reader, path: str) -> Json:
    """Argo switches as soon as the candidate is available, unless it is told not to."""
    for service in ("activeService", "previewService"):
        if read.has(f"{path}.{service}"):
            text = (
                "a Service per revision takes its place; write previewHostnames for a way through the Gateway"
            )
            read.note(f"{path}.{service}", "Changed", text)
    for name in ("prePromotionAnalysis", "postPromotionAnalysis"):
        if read.has(f"{path}.{name}"):
            read.note(f"{path}.{name}", "Lost", "nothing judges a candidate without a share of the requests")
    wait = 0 if read.get(f"{path}.autoPromotionEnabled", True) else read.get(f"{path}.autoPromotionSeconds")
    count = read.get(f"{path}.previewReplicaCount")
    return {
        "scaleDownDelaySeconds": max(10, read.get(f"{path}.scaleDownDelaySeconds", 30)),
        **({"autoPromotionSeconds": wait} if wait is not None else {}),
        **({"previewReplicaCount": count} if count is not None else {}),
    }


def _step(read: _Reader, path: str, step: Mapping[str, Any]) -> Json | None:
    """Our step for one of theirs; None where there is none."""
    name = next(iter(step), "")
    make = _STEPS.get(name)
    if make is None:
        text = ANALYSIS_NOTE if name == "analysis" else "no such step"
        read.note(f"{path}.{name}", "Lost", text)
        return None
    return make(read, f"{path}.{name}", step[name])


def _weight(_: _Reader, __: str, value: Any) -> Json:
    return {"setWeight": value}


def _pause(_: _Reader, __: str, value: Any) -> Json:
    duration = (value or {}).get("duration")
    if duration is None:
        return {"pause": {}}
    text = str(duration)
    return {"pause": {"duration": f"{text}s" if text.isdigit() else text}}


def _scale(_: _Reader, __: str, value: Mapping[str, Any]) -> Json:
    if value.get("matchTrafficWeight"):
        return {"setCandidateScale": {"matchTrafficWeight": True}}
    if value.get("replicas") is not None:
        return {"setCandidateScale": {"replicas": value["replicas"]}}
    return {"setCandidateScale": {"percent": value.get("weight", 100)}}


def _header(read: _Reader, path: str, value: Mapping[str, Any]) -> Json:
    read.note(f"{path}.name", "Changed", "the rule is part of the operator's own HTTPRoute and needs no name")
    return {"setHeaderRoute": {"match": list(value.get("match") or [])}}


def _mirror(read: _Reader, path: str, value: Mapping[str, Any]) -> Json:
    if not value.get("match"):
        return {"setMirror": 0}
    read.note(f"{path}.match", "Changed", "a share of all requests is copied, whatever they match")
    return {"setMirror": value.get("percentage", 100)}


_STEPS: Mapping[str, Callable[[_Reader, str, Any], Json]] = {
    "setWeight": _weight,
    "pause": _pause,
    "setCanaryScale": _scale,
    "setHeaderRoute": _header,
    "setMirrorRoute": _mirror,
}
