"""A real API server with many Rollouts in it; their pods are objects only, kept ready by a player."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tests.support.apiserver import OPERATOR_TOKEN, ApiServer
from tests.support.objects import rollout
from tests.support.players import Store, set_status

from edgeramp.effects.kinds import DEPLOYMENT, POD, Ref
from edgeramp.effects.live import LiveCluster
from edgeramp.values.errors import ClusterError
from edgeramp.values.quantities import timestamp

REPO = Path(__file__).resolve().parents[2]
NAMESPACE, PORT = "default", 18611
IMAGES = ("courier", "server-onnxruntime")


def create_rollouts(cluster: LiveCluster, store: Store, count: int) -> None:
    """`count` Rollouts of one certified artifact, each with a hostname of its own."""
    artifact = store.package("rest").reference
    for number in range(count):
        route = {"gatewayRef": {"name": "edge"}, "hostnames": [f"r{number}.example"]}
        cluster.create(rollout(f"r{number:04d}", artifact=artifact, route=route, allowUncertified=None))


class Kubelet:
    """Gives every Deployment its pods, ready at once."""

    def __init__(self, cluster: LiveCluster) -> None:
        self._cluster, self._made = cluster, set[str]()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Kubelet:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            with suppress(ClusterError):
                for deployment in self._cluster.list(DEPLOYMENT):
                    if deployment["metadata"]["name"] not in self._made:
                        self._start(deployment)
                        self._made.add(deployment["metadata"]["name"])

    def _start(self, deployment: dict[str, Any]) -> None:
        template, meta = deployment["spec"]["template"], deployment["metadata"]
        name, now = f"{meta['name']}-0", timestamp(time.time())
        number = len(self._made)
        owner = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": meta["name"],
            "uid": meta["uid"],
            "controller": True,
        }
        containers = [{"name": c["name"], "image": c["image"]} for c in template["spec"]["containers"]]
        self._cluster.create({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": NAMESPACE, "ownerReferences": [owner], **template["metadata"]},
            "spec": {"nodeName": "box-1", "containers": containers},
        })  # fmt: skip
        state = {"name": containers[0]["name"], "image": "x", "imageID": "x", "ready": True, "restartCount": 0,
                 "state": {"running": {"startedAt": now}}}  # fmt: skip
        address = f"127.78.{number // 250}.{number % 250 + 1}"
        set_status(self._cluster, Ref(*POD, NAMESPACE, name), {
            "phase": "Running", "startTime": now, "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}],
            "containerStatuses": [state],
        })  # fmt: skip


@dataclass
class Operator:
    """The operator's process and what it tells."""

    process: subprocess.Popen[bytes]
    started: float

    def memory(self) -> int:
        """Resident bytes now."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024  # type: ignore[index]

    def looks(self) -> float:
        """Looks at Rollouts so far; 0 before it answers."""
        return sum(self._metric("edgeramp_reconcile_total", 'kind="Rollout"'))

    def depth(self) -> float:
        return sum(self._metric("edgeramp_queue_depth", ""))

    def _metric(self, name: str, having: str) -> list[float]:
        try:
            text = httpx.get(f"http://127.0.0.1:{PORT}/metrics", timeout=5).text
        except httpx.TransportError:
            return []
        lines = [line for line in text.splitlines() if line.startswith(name) and having in line]
        return [float(line.rpartition(" ")[2]) for line in lines]


@contextmanager
def operator(server: ApiServer, store: Store, folder: Path) -> Iterator[Operator]:
    """A fresh operator process with the chart's rights."""
    (folder / "key.pem").write_text(store.public_key)
    environment = {
        **os.environ, "KUBECONFIG": str(server.kubeconfig(OPERATOR_TOKEN)), "PYTHONPATH": str(REPO / "operator"),
        "EDGERAMP_IDENTITY": "operator-0", "EDGERAMP_PORT": str(PORT), "EDGERAMP_STORE_HOST": store.host,
        "EDGERAMP_IMAGES": json.dumps({name: f"{name}:1" for name in IMAGES}), "EDGERAMP_PUBLIC_KEYS_DIR": str(folder),
    }  # fmt: skip
    with (folder / "operator.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgeramp.entry"], env=environment, stdout=log, stderr=log
        )
    try:
        yield Operator(process, time.monotonic())
    finally:
        process.terminate()
        process.wait(30)
