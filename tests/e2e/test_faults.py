"""What goes wrong around a serving revision: it is said, nothing is lost that the fault itself does not cut, and it ends.

Requests reach the stable revision all the while. A test that takes something away gives it back before it ends."""

from __future__ import annotations

import copy
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from demo import paths
from demo.until import until
from tests.e2e.conftest import Sender, Traffic
from tests.e2e.kubectl import Kubectl
from tests.e2e.ramps import JUDGED, ROLLOUT, Artifacts, steered
from tests.e2e.test_restart import kill

from edgeramp_local import processes

pytestmark = [pytest.mark.cluster, pytest.mark.long]

NAME, HOST = "faulty", "faulty.example"
PAUSED_AT_20 = steered([{"setWeight": 20}, {"pause": {}}], {"enabled": False})
ROUTE = "httproute"
STORE = ("deployment/edgeramp-store", "app.kubernetes.io/component=store")
GATEWAY_CONTROLLER = ("deployment/envoy-gateway", "control-plane=envoy-gateway")


@pytest.fixture(scope="module")
def artifacts(story: dict[str, Any], kubectl: Kubectl) -> Artifacts:
    return Artifacts.of_the_demo(kubectl)


@pytest.fixture(scope="module", autouse=True)
def served(artifacts: Artifacts, kubectl: Kubectl) -> Iterator[None]:
    """The baseline serves at HOST during this whole module."""
    kubectl.apply(artifacts.stable(NAME, HOST, strategy=PAUSED_AT_20))
    kubectl.wait(ROLLOUT, NAME, "condition=Ready", 120)
    yield
    kubectl.must("delete", ROLLOUT, NAME, "--ignore-not-found", "--timeout=60s")


@pytest.fixture
def ramping(artifacts: Artifacts, kubectl: Kubectl) -> Iterator[None]:
    """The winner at 20 %, standing there; afterwards the baseline has everything again."""
    kubectl.apply(artifacts.candidate(NAME, HOST, strategy=PAUSED_AT_20))
    becomes(kubectl, ".weight", "20")
    becomes(kubectl, ".phase", "Paused")
    yield
    back_to_stable(artifacts, kubectl)


def back_to_stable(artifacts: Artifacts, kubectl: Kubectl) -> None:
    kubectl.apply(artifacts.stable(NAME, HOST, strategy=PAUSED_AT_20))
    becomes(kubectl, ".phase", "Healthy", 120)


def becomes(kubectl: Kubectl, path: str, value: str, seconds: int = 90) -> None:
    kubectl.wait(ROLLOUT, NAME, f"jsonpath={{.status{path}}}={value}", seconds)


def status(kubectl: Kubectl, name: str = NAME) -> dict[str, Any]:
    return dict(kubectl.get(ROLLOUT, name)["status"])


def reasons(kubectl: Kubectl, name: str) -> set[str]:
    return {c["reason"] for c in status(kubectl, name).get("conditions") or []}


def weights(route: dict[str, Any]) -> dict[str, int]:
    """Weight by Service, as the route is served."""
    found: dict[str, int] = {}
    for ref in route["spec"]["rules"][0]["backendRefs"]:
        found[ref["name"]] = found.get(ref["name"], 0) + ref["weight"]
    return found


def answered(traffic: Traffic) -> tuple[int, int]:
    """Requests answered well and failed so far."""
    lines = [json.loads(line) for line in traffic.out.read_text().splitlines() if line.endswith("}")]
    seconds = [line for line in lines if "event" not in line]
    return sum(s["ok"] for s in seconds), sum(s["failed"] for s in seconds)


def after_answers(traffic: Traffic, more: int) -> None:
    """Wait until `more` requests have been answered well from now on."""
    had = answered(traffic)[0]
    until(f"{more} more good answers", lambda: answered(traffic)[0] >= had + more or None, 120)


# ---- things that are somebody else's


def test_a_route_of_somebody_else_is_not_touched(artifacts: Artifacts, kubectl: Kubectl) -> None:
    name, host = "not-ours", "not-ours.example"
    ours = kubectl.get(ROUTE, NAME)
    foreign = {
        "apiVersion": ours["apiVersion"],
        "kind": ours["kind"],
        "metadata": {"name": name, "namespace": paths.NAMESPACE},
        "spec": {**copy.deepcopy(ours["spec"]), "hostnames": [host]},
    }
    kubectl.apply(foreign)
    before = kubectl.get(ROUTE, name)["spec"]
    try:
        kubectl.apply(artifacts.stable(name, host, strategy=PAUSED_AT_20))
        kubectl.wait(ROLLOUT, name, "condition=Stalled", 60)
        assert "RouteNotOurs" in reasons(kubectl, name)
        assert kubectl.get(ROUTE, name)["spec"] == before
        assert not kubectl.items("deployments", f"edgeramp.dev/rollout={name}")
        kubectl.must("delete", ROUTE, name)
        kubectl.wait(ROLLOUT, name, "condition=Ready", 120)
    finally:
        kubectl.must("delete", ROLLOUT, name, "--ignore-not-found", "--timeout=60s")
        kubectl.must("delete", ROUTE, name, "--ignore-not-found")


def test_a_second_rollout_on_the_same_host_name_waits_for_the_first(
    artifacts: Artifacts, kubectl: Kubectl, sender: Sender
) -> None:
    name = "second"
    traffic = sender.send(HOST, rate=20)
    try:
        kubectl.apply(artifacts.candidate(name, HOST, strategy=PAUSED_AT_20))
        kubectl.wait(ROLLOUT, name, "condition=Stalled", 60)
        assert "HostnameTaken" in reasons(kubectl, name)
        assert NAME in status(kubectl, name)["message"]
        assert not kubectl.items(ROUTE, f"edgeramp.dev/rollout={name}")
        assert status(kubectl)["phase"] == "Healthy"
    finally:
        kubectl.must("delete", ROLLOUT, name, "--ignore-not-found", "--timeout=60s")
        counted = traffic.stop()[HOST]
    assert (counted["failed"], counted["sent"] > 0) == (0, True), counted


# ---- things that somebody changes or deletes mid-ramp


@pytest.mark.usefixtures("ramping")
def test_case_48_weights_and_replicas_of_a_foreign_writer_are_set_right(
    kubectl: Kubectl, sender: Sender
) -> None:
    right = kubectl.get(ROUTE, NAME)
    stable = next(name for name, weight in weights(right).items() if weight == 80)
    traffic = sender.send(HOST, rate=20)
    wrong = '[{"op": "replace", "path": "/spec/rules/0/backendRefs/0/weight", "value": 3}]'
    kubectl.must("patch", ROUTE, NAME, "--type=json", "--patch", wrong)
    kubectl.must("scale", "deployment", stable, "--replicas=3")
    kubectl.wait(ROUTE, NAME, "jsonpath={.spec.rules[0].backendRefs[0].weight}=80", 60)
    kubectl.wait("deployment", stable, "jsonpath={.spec.replicas}=1", 60)
    counted = traffic.stop()[HOST]
    after = kubectl.get(ROUTE, NAME)
    assert weights(after) == weights(right)
    assert after["metadata"]["generation"] == right["metadata"]["generation"] + 2  # theirs, and one of ours
    assert status(kubectl)["weight"] == 20
    assert (counted["failed"], counted["sent"] > 0) == (0, True), counted


@pytest.mark.usefixtures("ramping")
def test_a_route_that_is_deleted_comes_back_with_its_weights(kubectl: Kubectl, sender: Sender) -> None:
    right = weights(kubectl.get(ROUTE, NAME))
    traffic = sender.send(HOST, rate=20)
    after_answers(traffic, 20)
    kubectl.must("delete", ROUTE, NAME)
    until("the route to be back", lambda: kubectl.run("get", ROUTE, NAME).code == 0 or None, 60)
    kubectl.wait(ROUTE, NAME, "jsonpath={.spec.rules[0].backendRefs[0].weight}=80", 60)
    after_answers(traffic, 100)
    cut = answered(traffic)[1]
    after_answers(traffic, 100)
    assert answered(traffic)[1] == cut, "requests went on failing after the route was back"
    assert weights(kubectl.get(ROUTE, NAME)) == right
    assert status(kubectl)["weight"] == 20
    traffic.stop()


def test_a_candidate_that_is_deleted_mid_ramp_is_rolled_back(
    artifacts: Artifacts, kubectl: Kubectl, sender: Sender
) -> None:
    kubectl.apply(artifacts.candidate(NAME, HOST, strategy=PAUSED_AT_20))
    becomes(kubectl, ".weight", "20")
    candidate = next(n for n, w in weights(kubectl.get(ROUTE, NAME)).items() if w == 20)
    kubectl.must("delete", "deployment", candidate, "--wait=false")
    becomes(kubectl, ".phase", "Degraded")
    assert (status(kubectl)["weight"], status(kubectl)["history"][-1]["outcome"]) == (0, "RolledBack")
    traffic = sender.send(HOST, rate=20)
    after_answers(traffic, 60)
    assert traffic.stop()[HOST]["failed"] == 0
    back_to_stable(artifacts, kubectl)


# ---- things that are away for a while


@contextmanager
def away(system: Kubectl, what: tuple[str, str]) -> Iterator[None]:
    """Without the pods of a Deployment (its name, its pods' labels)."""
    deployment, labels = what
    system.must("scale", deployment, "--replicas=0")
    system.must("wait", "pod", "-l", labels, "--for=delete", "--timeout=90s")
    try:
        yield
    finally:
        system.must("scale", deployment, "--replicas=1")
        system.must("rollout", "status", deployment, "--timeout=120s")


@contextmanager
def frozen(component: str) -> Iterator[None]:
    """A process of the control plane that answers nobody (SIGSTOP), as in an outage."""
    process = processes.recorded()[component]
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


@pytest.mark.usefixtures("ramping")
def test_the_api_server_is_away_and_comes_back(kubectl: Kubectl, system: Kubectl, sender: Sender) -> None:
    before = status(kubectl)
    traffic = sender.send(HOST, rate=20)
    with frozen("kube-apiserver"):
        after_answers(traffic, 300)  # 15 s: the operator has lost its Lease meanwhile
    value = f"{before['candidate']['revision']}/2"
    until("the API server", lambda: kubectl.run("get", "--raw", "/readyz").code == 0 or None, 60)
    kubectl.must("annotate", ROLLOUT, NAME, f"edgeramp.dev/promote={value}")
    becomes(kubectl, ".phase", "Healthy", 180)
    counted = traffic.stop()[HOST]
    assert [w["weight"] for w in status(kubectl)["weights"]][-2:] == [20, 100]
    assert (counted["failed"], counted["sent"] > 0) == (0, True), counted


def test_the_store_is_away_and_comes_back(
    artifacts: Artifacts, kubectl: Kubectl, system: Kubectl, sender: Sender
) -> None:
    traffic = sender.send(HOST, rate=20)
    candidate = artifacts.candidate(
        NAME, HOST, strategy=steered([{"setWeight": 30}, {"pause": {}}], {"enabled": False})
    )
    with away(system, STORE):
        kill(system)  # what the operator knew of the artifact is forgotten
        kubectl.apply(candidate)
        becomes(kubectl, ".conditions[?(@.type=='Progressing')].reason", "AdmissionUnknown", 120)
        assert status(kubectl)["weight"] == 0
    becomes(kubectl, ".weight", "30", 120)
    counted = traffic.stop()[HOST]
    back_to_stable(artifacts, kubectl)
    assert (counted["failed"], counted["sent"] > 0) == (0, True), counted


def test_the_gateways_controller_is_away_and_comes_back(
    artifacts: Artifacts, kubectl: Kubectl, sender: Sender
) -> None:
    """The proxies go on with what they know; no evidence comes in, so the weight stands until it does."""
    gateway = Kubectl(kubectl.command, paths.GATEWAY_NAMESPACE)
    traffic = sender.send(HOST, rate=40)
    judged = steered([{"setWeight": 20}, {"setWeight": 50}], JUDGED)
    with away(gateway, GATEWAY_CONTROLLER):
        kubectl.apply(artifacts.candidate(NAME, HOST, strategy=judged))
        becomes(kubectl, ".weight", "20")
        after_answers(traffic, 600)
        assert status(kubectl)["weight"] == 20
        assert status(kubectl)["verdict"] in ("AwaitingEvidence", "Error")
    becomes(kubectl, ".phase", "Healthy", 240)
    counted = traffic.stop()[HOST]
    assert [w["weight"] for w in status(kubectl)["weights"]][-3:] == [20, 50, 100]
    assert (counted["failed"], counted["sent"] > 0) == (0, True), counted
    back_to_stable(artifacts, kubectl)
