"""The whole operator process against a real API server, with the rights that the chart gives it: real watches, plans and
writes; everybody else is played."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.apiserver import OPERATOR_TOKEN, ApiServer, MissingBinary, running
from tests.support.objects import edgemodel, rollout
from tests.support.players import Players, Store, furnish, packaging
from tests.unit.optimize.bench import Bench

from edgeramp.effects.kinds import DEPLOYMENT, EDGEMODEL, HTTPROUTE, LEASE, ROLLOUT, Ref
from edgeramp.effects.live import LiveCluster
from edgeramp.values.quantities import epoch

pytestmark = pytest.mark.apiserver
REPO = Path(__file__).resolve().parents[2]
IMAGES = ("courier", "onnxruntime", "openvino", "server-onnxruntime", "server-openvino")
PORT = 18479
STRATEGY = {
    "steps": [{"setWeight": 25}],
    "analysis": {"scrapeInterval": "1s", "stepMinimum": "2s"},
}


class Operator:
    """The process, started and ended by the test."""

    def __init__(self, apiserver: ApiServer, store: Store, folder: Path) -> None:
        (folder / "key.pem").write_text(store.public_key)
        self._env = {
            **os.environ,
            "KUBECONFIG": str(apiserver.kubeconfig(OPERATOR_TOKEN)),
            "PYTHONPATH": str(REPO / "operator"),
            "EDGERAMP_IDENTITY": "operator-0",
            "EDGERAMP_PORT": str(PORT),
            "EDGERAMP_IMAGES": json.dumps({name: f"{name}:1" for name in IMAGES}),
            "EDGERAMP_STORE_HOST": store.host,
            "EDGERAMP_PUBLIC_KEYS_DIR": str(folder),
        }
        self.log = folder / "operator.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "edgeramp.entry"]
            self.process = subprocess.Popen(command, env=self._env, stdout=log, stderr=log)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(15)


@dataclass
class Town:
    """The cluster with everybody in it."""

    cluster: LiveCluster
    store: Store
    players: Players
    operator: Operator

    def until(self, done: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := done()):
            if time.monotonic() > deadline:
                pytest.fail(f"waited {seconds:.0f} s for {what}\n{self._told()}")
            time.sleep(0.02)
        return found

    def _told(self) -> str:
        states = [
            json.dumps(o.get("status"))[:1500] for k in (EDGEMODEL, ROLLOUT) for o in self.cluster.list(k)
        ]
        return "\n".join([*states, self.operator.log.read_text()[-6000:]])

    def rollout(self, name: str) -> dict[str, Any]:
        return self.cluster.get(Ref(*ROLLOUT, "default", name)) or {}

    def phase(self, name: str) -> str:
        return (self.rollout(name).get("status") or {}).get("phase", "")

    def healthy(self, name: str) -> bool:
        found = self.rollout(name)
        status = found.get("status") or {}
        served = (status.get("stable") or {}).get("artifact")
        return status.get("phase") == "Healthy" and served == found["spec"]["artifact"]

    def split(self, name: str) -> dict[str, int]:
        route = self.cluster.get(Ref(*HTTPROUTE, "default", name))
        weights: dict[str, int] = {}
        for backend in route["spec"]["rules"][0]["backendRefs"] if route else []:
            weights[backend["name"]] = weights.get(backend["name"], 0) + backend.get("weight", 1)
        return weights


@pytest.fixture(scope="module")
def apiserver() -> Iterator[ApiServer]:
    """One of its own: the operator would take up what other tests leave on the session's."""
    try:
        with running() as own:
            yield own
    except MissingBinary as missing:
        pytest.skip(str(missing))


@pytest.fixture
def town(apiserver: ApiServer, tmp_path: Path) -> Iterator[Town]:
    cluster, store = LiveCluster(apiserver.access()), Store()
    furnish(apiserver, cluster)
    cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "edgeramp-signing", "namespace": "default"}})  # fmt: skip
    operator = Operator(apiserver, store, tmp_path)
    with Players(cluster, packaging(store, Bench())).playing() as players:
        operator.start()
        yield Town(cluster, store, players, operator)
        _leave(cluster, operator)
    store.close()


def _leave(cluster: LiveCluster, operator: Operator) -> None:
    """Take everything away, so that the next test has the server to itself."""
    for kind in (
        EDGEMODEL,
        ROLLOUT,
        ("edgeramp.dev/v1alpha1", "OptimizationRun"),
        HTTPROUTE,
        DEPLOYMENT,
        ("batch/v1", "Job"),
    ):
        for found in cluster.list(kind):
            where = Ref(*kind, found["metadata"]["namespace"], found["metadata"]["name"])
            cluster.delete(where)
            cluster.patch(where, {"metadata": {"finalizers": None}})
    operator.stop()
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
    for pod in cluster.list(("v1", "Pod")):
        meta = pod["metadata"]
        cluster._call("delete", "DELETE", ("v1", "Pod"), meta["namespace"], meta["name"], body=options)


def test_an_edgemodel_ends_as_a_promoted_rollout(town: Town) -> None:
    route = {"gatewayRef": {"name": "edge"}, "hostnames": ["digits.example"]}
    began = time.monotonic()
    town.cluster.create(edgemodel(rollout={"route": route, "strategy": STRATEGY}))
    town.until(lambda: town.healthy("digits-vnni"), "the Rollout to be Healthy", 60)
    took = time.monotonic() - began
    model = town.cluster.get(Ref(*EDGEMODEL, "default", "digits"))
    town.until(
        lambda: "Ready" in str(town.cluster.get(Ref(*EDGEMODEL, "default", "digits"))["status"]["phase"]),
        "Ready",
    )
    assert model is not None
    assert took < 20, f"{took:.1f} s from apply to promoted, with Jobs that take no time"
    metrics = httpx.get(f"http://127.0.0.1:{PORT}/metrics").text
    assert 'edgeramp_reconcile_total{kind="OptimizationRun",result="changed"}' in metrics
    errors = {line for line in metrics.splitlines() if line.startswith("edgeramp_errors_total{")}
    assert not [line for line in errors if "Conflict" not in line], (
        "the chart's rights suffice, and nothing failed"
    )
    print(f"\napply to promoted: {took:.2f} s")


def test_a_candidate_with_errors_is_rolled_back_within_seconds(town: Town) -> None:
    good, bad = town.store.package("good"), town.store.package("bad")
    town.players.behaviour = {bad.reference: (0.2, 0.01)}
    town.cluster.create(rollout("r", artifact=good.reference, strategy=STRATEGY, allowUncertified=None))
    town.until(lambda: town.healthy("r"), "the first revision")
    (stable,) = town.split("r")
    town.cluster.patch(Ref(*ROLLOUT, "default", "r"), {"spec": {"artifact": bad.reference}})
    town.until(lambda: len(town.split("r")) == 2, "the ramp to begin")
    (candidate,) = set(town.split("r")) - {stable}
    town.until(lambda: not town.split("r").get(candidate), "the rollback")
    took = time.time() - town.players.first_bad[candidate]
    status = town.until(lambda: town.phase("r") == "Degraded" and town.rollout("r")["status"], "Degraded")
    assert town.split("r") == {stable: 100}
    assert "Rolled back" in status["message"]
    assert took < 8, f"{took:.1f} s from the first bad answer to weight 0"
    assert stable not in town.players.first_bad
    print(f"\nfirst bad answer to weight 0: {took:.2f} s: {status['message']}")


def test_a_candidate_that_crashes_is_rolled_back_at_once(town: Town) -> None:
    good, bad = town.store.package("good"), town.store.package("crashes")
    town.cluster.create(rollout("r", artifact=good.reference, strategy=STRATEGY))
    town.until(lambda: town.healthy("r"), "the first revision")
    (stable,) = town.split("r")
    town.cluster.patch(Ref(*ROLLOUT, "default", "r"), {"spec": {"artifact": bad.reference}})
    town.until(lambda: len(town.split("r")) == 2, "the ramp to begin")
    (candidate,) = set(town.split("r")) - {stable}
    crashed = time.time()
    town.players.crash(f"{candidate}-0")
    town.until(lambda: not town.split("r").get(candidate), "the rollback")
    took = time.time() - crashed
    assert took < 2, f"{took:.1f} s from the crash to weight 0"
    print(f"\ncrash to weight 0: {took:.2f} s")


def test_an_operator_that_is_killed_goes_on_where_it_was(town: Town) -> None:
    first, second = town.store.package("first"), town.store.package("second")
    steps = [
        {"setWeight": 25},
        {"pause": {"duration": "4s"}},
        {"setWeight": 50},
        {"pause": {"duration": "1s"}},
    ]
    strategy = {"steps": steps, "analysis": {"enabled": False}}
    town.cluster.create(rollout("r", artifact=first.reference, strategy=strategy))
    town.until(lambda: town.healthy("r"), "the first revision")
    (stable,) = town.split("r")
    town.cluster.patch(Ref(*ROLLOUT, "default", "r"), {"spec": {"artifact": second.reference}})
    town.until(lambda: len(town.split("r")) == 2, "the ramp to begin")
    town.operator.stop(signal.SIGKILL)
    before = town.rollout("r")["status"]["ramp"]
    town.operator.start()
    town.until(lambda: town.healthy("r"), "the second revision")
    history = town.rollout("r")["status"]["history"]
    assert [entry["outcome"] for entry in history] == ["Promoted", "Promoted"]
    assert epoch(history[-1]["startedAt"]) == pytest.approx(before["startedAt"], abs=1), "the ramp began anew"

    def shares() -> list[int]:
        splits = [split for _, name, split in town.players.weights if name == "default/r"]
        return [share for share, _ in groupby(sum(w for n, w in split if n == stable) for split in splits)]

    town.until(lambda: shares()[-1] == 0, "the players to see the last weight")
    assert shares() == [100, 75, 50, 0]


def test_a_terminated_operator_gives_its_lease_back(town: Town) -> None:
    lease = Ref(*LEASE, "edgeramp-system", "edgeramp-operator")
    town.until(lambda: town.cluster.get(lease), "the Lease")
    town.until(lambda: httpx.get(f"http://127.0.0.1:{PORT}/readyz").status_code == 200, "readiness")
    assert town.operator.stop() == 0
    assert town.cluster.get(lease) is None
    town.operator.start()
    town.until(lambda: town.cluster.get(lease), "the Lease")
