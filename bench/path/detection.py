"""Detection: from a candidate's first bad answer, or its death, to weight 0 in the route."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from demo import flow, paths
from demo.acts import Stage
from demo.reach import LISTENER_PORT
from demo.until import TookTooLong, until
from kubernetes import client

from edgeramp.values.names import API_VERSION, GROUP, LABEL_REVISION, LABEL_ROLLOUT, VERSION
from edgeramp_harness.store import Registry

STORE = "edgeramp-store.edgeramp-system.svc:5000"
REPOSITORY = "bench/digits"
NAME, MODEL = "bench-detect", "digits"
HOST = "bench-detect.example"
RATE, BRIGHT, WEIGHT = 50.0, 0.2, 25
assert LISTENER_PORT  # the demo's gateway is used


@dataclass(frozen=True)
class Trial:
    """One rollback, in seconds since the epoch; `killed` only where the candidate was made to crash."""

    exposed: float
    first_bad: float | None
    zero: float
    killed: float | None
    outcome: str
    stable_failed: int
    stable_total: int
    candidate_failed: int
    candidate_total: int

    @property
    def seconds(self) -> float:
        """From the first bad answer; from the crash where no request was lost, or it came before."""
        starts = [t for t in (self.first_bad, self.killed) if t is not None]
        return self.zero - min(starts) if starts else math.nan


class Ground:
    """A Rollout of its own with a stable revision, and new revisions for it: equal networks, different digests."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage, self._folder = stage, folder
        self._api = client.CustomObjectsApi(stage.kube.api)
        self._core = client.CoreV1Api(stage.kube.api)
        self._store = Registry(stage.reach.store(), REPOSITORY, plain_http=True)

    def push(self, revision: str, mark: str) -> str:
        """`digits-<revision>` under a digest of its own; the artifact's reference."""
        model = onnx.load(self._folder / f"digits-{revision}" / "model.onnx")
        model.doc_string = mark
        path = paths.scratch() / "bench-model.onnx"
        onnx.save(model, path)
        digest = self._store.push({"model.onnx": path}, tag=mark).digest
        return f"oci://{STORE}/{REPOSITORY}@{digest}"

    def serve(self, artifact: str) -> None:
        """Create or change the Rollout."""
        body = manifest(artifact)
        have = self._stage.kube.get("rollouts", NAME)
        if have is None:
            self._api.create_namespaced_custom_object(GROUP, VERSION, paths.NAMESPACE, "rollouts", body)
        else:
            patch = {"spec": {"artifact": artifact}}
            self._api.patch_namespaced_custom_object(GROUP, VERSION, paths.NAMESPACE, "rollouts", NAME, patch)

    def status(self) -> dict[str, Any]:
        item = self._stage.kube.get("rollouts", NAME) or {}
        return item.get("status") or {}

    def healthy(self, artifact: str) -> None:
        """Wait until an artifact serves everything."""

        def look() -> bool:
            status = self.status()
            stable = status.get("stable") or {}
            return status.get("phase") == "Healthy" and stable.get("artifact") == artifact

        until("the stable revision to serve", look, 240, progress=self._stage.screen.progress)

    def remove(self) -> None:
        """Delete the Rollout and wait until it has gone."""
        self._stage.kube.delete("rollouts", NAME)
        until("the bench's Rollout to go", lambda: self._stage.kube.get("rollouts", NAME) is None, 120)

    def kill_candidate(self, revision: str) -> float:
        """SIGKILL the candidate's server: found by its pod's name, here on the machine that the nodes share."""
        labels = f"{LABEL_ROLLOUT}={NAME},{LABEL_REVISION}={revision}"
        pods = self._core.list_namespaced_pod(paths.NAMESPACE, label_selector=labels).items
        names = {pod.metadata.name for pod in pods}
        pids = [pid for pid in server_pids() if pod_name(pid) in names]
        if not pids:
            raise TookTooLong(f"no server process of revision {revision} was found on this machine")
        now = time.time()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return now


def manifest(artifact: str) -> dict[str, Any]:
    """A Rollout that goes to 25 % at once and looks every second."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Rollout",
        "metadata": {"name": NAME, "namespace": paths.NAMESPACE},
        "spec": {
            "artifact": artifact,
            "allowUncertified": {"reason": "measures the time to a rollback", "approvedBy": "bench-path"},
            "target": {
                "name": "edge-box",
                "nodeSelector": {"edgeramp.dev/hardware-class": "edge-box"},
                "resources": {"cpu": "600m", "memory": "768Mi"},
            },
            "server": {"framework": "onnxruntime", "precision": "f32", "modelName": MODEL},
            "route": {"gatewayRef": {"name": "edge"}, "hostnames": [HOST], "path": "/"},
            "strategy": {
                "steps": [{"setWeight": WEIGHT}, {"pause": {}}],
                "analysis": {"scrapeInterval": "1s", "stepMinimum": "30s"},
            },
            "abortScaleDownDelaySeconds": 5,
            "progressDeadlineSeconds": 240,
        },
    }


def server_pids() -> list[int]:
    """Processes of this machine that run our server."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"edgeramp_serving" in words:
                found.append(int(entry.name))
    return found


def pod_name(pid: int) -> str:
    """The HOSTNAME that a process was given: its pod's name."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    return next((v[9:].decode() for v in variables if v.startswith(b"HOSTNAME=")), "")


def trials(stage: Stage, folder: Path, kind: str, runs: int) -> list[Trial]:
    """`kind` is "errors" (the revision that raises on brightened images) or "crash" (a good one that is killed)."""
    ground = Ground(stage, folder)
    stable = ground.push("v1", "bench-stable")
    ground.remove()
    ground.serve(stable)
    ground.healthy(stable)
    found = []
    for number in range(runs):
        mark = f"{kind}-{int(time.time())}-{number}"
        artifact = ground.push("v2" if kind == "errors" else "v1", mark)
        trial = _trial(stage, ground, kind, artifact, mark)
        stage.screen.say(
            f"{kind} {number + 1} of {runs}: weight 0 after {trial.seconds:.2f} s ({trial.outcome})"
        )
        found.append(trial)
    ground.remove()
    return found


def _trial(stage: Stage, ground: Ground, kind: str, artifact: str, mark: str) -> Trial:
    running = flow.start(
        stage.reach.gateway(), HOST, MODEL, stage.requests, RATE, BRIGHT, seed=hash(mark) % 1000, name=mark
    )
    began = time.time()
    stage.counters.counts.pop(NAME, None)
    try:
        until(
            "traffic to flow",
            lambda: running.totals().get("ok", 0) > RATE,
            60,
            progress=stage.screen.progress,
        )
        ground.serve(artifact)
        revision, exposed = _exposed(stage, ground, artifact, began)
        killed = None
        if kind == "crash":
            until("the candidate to answer", lambda: _answered(stage) > RATE / 5, 30)
            killed = ground.kill_candidate(revision)
        zero = until("weight 0", lambda: _zero(stage, revision, exposed), 120, every=0.1)
        until("requests after the rollback", lambda: time.time() > zero + 3, 10)
    finally:
        running.stop()
    stage.counters.look()
    outcome = next((h["outcome"] for h in reversed(ground.status().get("history") or [])), "")
    tracks = stage.counters.snapshot(NAME)
    counts = [tracks.get(t, {}).get(k, 0) for t in ("stable", "candidate") for k in ("failed", "total")]
    first = min((f["t"] for f in running.failures() if f["t"] >= exposed), default=None)
    return Trial(exposed, first, zero, killed, outcome, *counts)


def _exposed(stage: Stage, ground: Ground, artifact: str, began: float) -> tuple[str, float]:
    """The candidate's revision, and when the route first gave it traffic."""

    def look() -> tuple[str, float] | None:
        candidate = ground.status().get("candidate") or {}
        if candidate.get("artifact") != artifact:
            return None
        revision = str(candidate["revision"])
        at = next((s.at for s in stage.routes.of(NAME) if s.at >= began and s.weight_of(revision) > 0), None)
        return (revision, at) if at else None

    return until("the candidate to get traffic", look, 240, every=0.1, progress=stage.screen.progress)


def _zero(stage: Stage, revision: str, exposed: float) -> float | None:
    return next((s.at for s in stage.routes.of(NAME) if s.at > exposed and s.weight_of(revision) == 0), None)


def _answered(stage: Stage) -> float:
    return stage.counters.snapshot(NAME).get("candidate", {}).get("total", 0)


def quantile(values: Sequence[float], q: float) -> float | None:
    """The smallest value with at least a share `q` at or below it; None without values."""
    ordered = sorted(values)
    return round(ordered[max(0, math.ceil(q * len(ordered)) - 1)], 2) if ordered else None
