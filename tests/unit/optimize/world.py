"""A small world for plans: objects in memory, Jobs that end as a script says, a clock that jumps. No sleeps, no I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from edgeramp.api.optimizationrun import OptimizationRun
from edgeramp.decide.decision import (
    Action,
    Apply,
    Create,
    Decision,
    Delete,
    DropLease,
    Event,
    Patch,
    TakeLease,
)
from edgeramp.decide.edgemodel import plan_edgemodel
from edgeramp.decide.optimize import plan_run
from edgeramp.decide.seen import EdgeModelSeen, RunSeen
from edgeramp.report import Failure
from edgeramp.report.spec import JobSpec, Part
from edgeramp.values.names import LABEL_ROLE, LABEL_RUN
from edgeramp.values.quantities import epoch, timestamp
from edgeramp.values.settings import Settings

START = 1_795_000_000.0
NAMESPACE = "shop"
IMAGES = ("courier", "onnxruntime", "openvino", "server-onnxruntime", "server-openvino")
SETTINGS = Settings(images={name: f"registry/edgeramp/{name}:1" for name in IMAGES})
SPEC: TypeAdapter[JobSpec] = TypeAdapter(JobSpec)
VNNI = "feature.node.kubernetes.io/cpu-cpuid.AVX512VNNI"
AVX2 = "feature.node.kubernetes.io/cpu-cpuid.AVX2"

Ending = tuple[int, Part | None, str]
"""Exit code, summary in the termination message, the container's reason (OOMKilled, …)."""
Script = Callable[[JobSpec, int, str], Ending]


def failed(code: int, reason: str, message: str = "because") -> Ending:
    return code, Failure(code=code, reason=reason, message=message), "Error"


def node(name: str, labels: Mapping[str, str], host: str = "", ready: bool = True) -> dict[str, Any]:
    shared = {"edgeramp.dev/measurement-host": host} if host else {}
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels, **shared}},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


@dataclass
class World:
    """Everything that `observe` would read. `script` decides how a Job ends."""

    script: Script
    nodes: list[dict[str, Any]] = field(default_factory=lambda: [node("box", {VNNI: "true", AVX2: "true"})])
    settings: Settings = SETTINGS
    now: float = START
    secret_missing: bool = False
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    leases: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[tuple[str, Event]] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    job_seconds: float = 10.0
    _serial: int = 0

    # observing

    def of(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind, by name. Not copies: plans must not edit what they see, nor should tests."""
        return [o for (k, _), o in sorted(self.objects.items()) if k == kind]

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return self.objects[kind, name]

    def run(self, name: str | None = None) -> OptimizationRun:
        found = self.of("OptimizationRun")
        raw = next((r for r in found if name is None or r["metadata"]["name"] == name), None)
        assert raw is not None, f"no OptimizationRun {name}"
        return OptimizationRun.model_validate(raw)

    def seen_model(self, name: str) -> EdgeModelSeen:
        jobs = [j for j in self.of("Job") if j["metadata"]["labels"][LABEL_ROLE] in ("stage", "assess")]
        return EdgeModelSeen(
            now=self.now,
            model=self.get("EdgeModel", name),
            jobs=tuple(jobs),
            pods=tuple(self._pods(jobs)),
            runs=tuple(self.of("OptimizationRun")),
            rollouts=tuple(self.of("Rollout")),
            nodes=tuple(self.nodes),
            settings=self.settings,
        )

    def seen_run(self, name: str) -> RunSeen:
        jobs = [j for j in self.of("Job") if j["metadata"]["labels"].get(LABEL_RUN) == name]
        return RunSeen(
            now=self.now,
            run=self.get("OptimizationRun", name),
            jobs=tuple(jobs),
            pods=tuple(self._pods(jobs)),
            nodes=tuple(self.nodes),
            leases=tuple(self.leases.values()),
            secret_missing=self.secret_missing,
            settings=self.settings,
        )

    def decide(self, kind: str, name: str) -> Decision:
        if kind == "EdgeModel":
            return plan_edgemodel(self.seen_model(name))
        return plan_run(self.seen_run(name))

    # acting

    def carry_out(self, kind: str, name: str, decision: Decision, actions: int | None = None) -> bool:
        """Status, then the first `actions` actions (all when None), then events. True when anything changed."""
        status = json.loads(json.dumps(decision.status.wire()))
        changed = status != self.objects[kind, name].get("status")
        self.objects[kind, name] = {**self.objects[kind, name], "status": status}
        for action in decision.actions if actions is None else decision.actions[:actions]:
            changed |= self._act(action)
        if actions is None:
            self.events.extend((name, event) for event in decision.events)
        return changed

    def _act(self, action: Action) -> bool:
        match action:
            case Create(manifest=manifest):
                key = (manifest["kind"], manifest["metadata"]["name"])
                return key not in self.objects and self._create(key, manifest)
            case Apply(manifest=manifest):
                key = (manifest["kind"], manifest["metadata"]["name"])
                return self._create(key, manifest) if key not in self.objects else self._apply(key, manifest)
            case Delete(kind=kind, name=name):
                return self.objects.pop((kind, name), None) is not None
            case Patch(kind=kind, name=name, body=body):
                return self._annotate((kind, name), body["metadata"]["annotations"])
            case TakeLease(name=name, holder=holder, seconds=seconds):
                return self._take(name, holder, seconds)
            case DropLease(name=name, holder=holder):
                mine = self.leases.get(name, {}).get("spec", {}).get("holderIdentity") == holder
                return mine and self.leases.pop(name, None) is not None

    def _apply(self, key: tuple[str, str], manifest: Mapping[str, Any]) -> bool:
        spec, have = json.loads(json.dumps(manifest["spec"])), self.objects[key]
        if have["spec"] == spec:
            return False
        meta = {**have["metadata"], "generation": have["metadata"]["generation"] + 1}
        self.objects[key] = {**have, "metadata": meta, "spec": spec}
        return True

    def _annotate(self, key: tuple[str, str], changes: Mapping[str, str | None]) -> bool:
        have = self.objects[key]
        old = have["metadata"].get("annotations", {})
        new = {k: v for k, v in {**old, **changes}.items() if v is not None}
        self.objects[key] = {**have, "metadata": {**have["metadata"], "annotations": new}}
        return bool(old != new)

    def _create(self, key: tuple[str, str], manifest: Mapping[str, Any]) -> bool:
        made = json.loads(json.dumps(manifest))
        self._serial += 1
        made["metadata"] |= {
            "uid": f"uid-{self._serial:04d}-{key[1]}",
            "generation": 1,
            "creationTimestamp": timestamp(self.now),
        }
        self.objects[key] = made
        if key[0] == "Job":
            made["status"] = {"startTime": timestamp(self.now)}
            self.started.append(key[1])
        return True

    def _take(self, name: str, holder: str, seconds: int) -> bool:
        spec = self.leases.get(name, {}).get("spec", {})
        live = spec and self.now - epoch(spec["renewTime"]) <= spec["leaseDurationSeconds"]
        if live and spec["holderIdentity"] != holder:
            return False
        held = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": timestamp(self.now)}
        self.leases[name] = {"metadata": {"name": name}, "spec": held}
        return True

    # Jobs

    def running(self) -> list[dict[str, Any]]:
        jobs = (o for (kind, _), o in sorted(self.objects.items()) if kind == "Job")
        return [j for j in jobs if not j["status"].get("conditions")]

    def finish(self, job: dict[str, Any]) -> None:
        """End one Job as the script says."""
        name = job["metadata"]["name"]
        spec = SPEC.validate_json(self.get("ConfigMap", name)["data"]["spec.json"])
        where = job["spec"]["template"]["spec"]["nodeSelector"].get("kubernetes.io/hostname", "box")
        code, summary, reason = self.script(spec, int(name.rpartition("-")[2]), where)
        kind = "Complete" if code == 0 else "Failed"
        why = (
            {}
            if code == 0
            else {"reason": "DeadlineExceeded" if reason == "DeadlineExceeded" else "PodFailurePolicy"}
        )
        job["status"]["conditions"] = [{"type": kind, "status": "True", **why}]
        terminated = {
            "exitCode": code,
            "reason": reason,
            "message": summary.to_json() if summary else "",
            "finishedAt": timestamp(self.now),
        }
        job["pod"] = {"node": where, "terminated": terminated}

    def finish_all(self) -> int:
        jobs = self.running()
        if jobs:
            self.now += self.job_seconds
        for job in jobs:
            self.finish(job)
        return len(jobs)

    def _pods(self, jobs: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for job in jobs:
            pod = job.get("pod") or {}
            if "terminated" in pod:
                state = {"state": {"terminated": pod["terminated"]}}
            else:
                state = {"state": pod.get("state", {"running": {}})}
            yield {
                "metadata": {
                    "name": f"{job['metadata']['name']}-pod",
                    "creationTimestamp": job["metadata"]["creationTimestamp"],
                    "ownerReferences": [{"controller": True, "uid": job["metadata"]["uid"]}],
                },
                "spec": {"nodeName": pod.get("node", "box")},
                "status": {"containerStatuses": [{"name": "worker", **state}]},
            }

    # the loop

    def objects_to_plan(self) -> list[tuple[str, str]]:
        return sorted(key for key in self.objects if key[0] in ("EdgeModel", "OptimizationRun"))

    def look(self) -> bool:
        """One look at every object; True when something changed."""
        changed = False
        for kind, name in self.objects_to_plan():
            if (kind, name) not in self.objects:
                continue
            decision = self.decide(kind, name)
            changed |= self.carry_out(kind, name, decision)
            self._tell(kind, name, decision)
        return changed

    def _tell(self, kind: str, name: str, decision: Decision) -> None:
        status: Any = decision.status
        line = f"{kind} {name}: {status.phase}: {status.message}"
        if line not in self.story[-8:]:
            self.story.append(line)

    def until_idle(self, limit: int = 400, patience: float = 400.0) -> None:
        """Look, let Jobs end, let time pass, until nothing happens any more for `patience` seconds."""
        idle_since = self.now
        for _ in range(limit):
            if self.look():
                idle_since = self.now
                continue
            if self.finish_all():
                idle_since = self.now
                continue
            waits = [self.decide(k, n).requeue_after for k, n in self.objects_to_plan()]
            soonest = min((w for w in waits if w is not None), default=None)
            if soonest is None or self.now - idle_since > patience:
                return
            self.now += max(1.0, soonest)
        raise AssertionError("the world does not settle: " + "\n".join(self.story[-12:]))
