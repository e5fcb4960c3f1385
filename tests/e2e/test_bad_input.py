"""Bad input on the real cluster: a clear word, and the serving revision loses no request (design.md, Bad input).

Requests reach the serving revision all the while; the last test counts them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from demo import paths
from tests.e2e.conftest import Sender, Traffic
from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.cluster

ROLLOUT = "rollouts.edgeramp.dev"
BAD = paths.EXAMPLES / "bad"
SERVING = f"edge-box.{paths.HOSTNAME}"


def manifest(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((BAD / f"{name}.yaml").read_text()))


def condition(kind: str, field: str, value: str) -> str:
    return f"jsonpath={{.status.conditions[?(@.type=='{kind}')].{field}}}={value}"


@pytest.fixture(scope="module", autouse=True)
def served(sender: Sender, kubectl: Kubectl) -> Iterator[None]:
    """Traffic to the serving revision during this whole module: not one request may fail."""
    before = kubectl.get(ROLLOUT, "digits-edge-box")["status"]["stable"]
    traffic: Traffic = sender.send(SERVING, rate=10, seconds=1200)
    yield
    counted = traffic.stop()[SERVING]
    assert counted["sent"] > 0
    assert counted["failed"] == 0, counted
    assert kubectl.get(ROLLOUT, "digits-edge-box")["status"]["stable"] == before


@pytest.fixture
def applied(kubectl: Kubectl) -> Iterator[Any]:
    """Applies manifests and deletes them afterwards."""
    names: list[tuple[str, str]] = []

    def apply(body: dict[str, Any]) -> str:
        kind = {"EdgeModel": "edgemodel", "Rollout": ROLLOUT}[body["kind"]]
        names.append((kind, body["metadata"]["name"]))
        kubectl.apply(body)
        return f"{body['metadata']['name']}"

    yield apply
    for kind, name in names:
        kubectl.must("delete", kind, name, "--ignore-not-found", "--timeout=60s")


@pytest.mark.parametrize(
    ("name", "field", "remedy"),
    [
        ("invalid-ratio", "spec.gates.accuracyRetention", "write a decimal number as a string"),
        ("weight-140", "setWeight", "whole number from 0 to 100"),
    ],
)
def test_an_invalid_manifest_is_refused_with_field_and_remedy(
    kubectl: Kubectl, name: str, field: str, remedy: str
) -> None:
    answer = kubectl.try_apply((BAD / f"{name}.yaml").read_text())
    assert answer.code != 0
    assert field in answer.err
    assert remedy in answer.err


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("missing-source", "SourceReady", "SourceNotFound"),
        ("wrong-digest", "SourceReady", "DigestMismatch"),
        ("corrupt-model", "Assessed", "CorruptModel"),
    ],
)
def test_a_source_that_cannot_be_used_is_named(
    kubectl: Kubectl, applied: Any, name: str, kind: str, reason: str
) -> None:
    model = applied(manifest(name))
    kubectl.wait("edgemodel", model, condition(kind, "reason", reason), 120)
    kubectl.wait("edgemodel", model, condition("Ready", "status", "False"), 10)
    assert not kubectl.items("optimizationruns", f"edgeramp.dev/model={model}")


def test_a_target_without_nodes_says_so(kubectl: Kubectl, applied: Any) -> None:
    model = applied(manifest("no-matching-node"))
    kubectl.wait(
        "edgemodel", model, "jsonpath={.status.targets[?(@.name=='npu')].reason}=NoMatchingNode", 120
    )
    kubectl.wait("edgemodel", model, condition("Stalled", "status", "True"), 10)


def test_a_serving_model_whose_new_source_is_missing_goes_on_serving(kubectl: Kubectl) -> None:
    good = yaml.safe_load((paths.EXAMPLES / "digits.yaml").read_text())
    missing = copy.deepcopy(good)
    missing["spec"]["source"] = manifest("missing-source")["spec"]["source"]
    before = kubectl.get(ROLLOUT, "digits-edge-box")
    kubectl.apply(missing)
    try:
        kubectl.wait("edgemodel", "digits", condition("SourceReady", "reason", "SourceNotFound"), 120)
        after = kubectl.get(ROLLOUT, "digits-edge-box")
        assert after["spec"] == before["spec"]
        assert after["status"]["stable"] == before["status"]["stable"]
    finally:
        kubectl.apply(good)
    kubectl.wait("edgemodel", "digits", condition("SourceReady", "status", "True"), 60)


@pytest.fixture
def stable_one(kubectl: Kubectl, applied: Any) -> Any:
    """A Rollout like a bad one, serving what is certified already: its name, and what it calls stable."""

    def serve(bad: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        good = copy.deepcopy(bad)
        good["spec"]["artifact"] = kubectl.get(ROLLOUT, "digits-edge-box")["status"]["stable"]["artifact"]
        good["spec"]["server"].pop("image", None)
        name = applied(good)
        kubectl.wait(ROLLOUT, name, "condition=Ready", 120)
        return name, kubectl.get(ROLLOUT, name)["status"]["stable"]

    return serve


def test_a_candidate_that_never_becomes_ready_leaves_the_stable_revision_alone(
    kubectl: Kubectl, stable_one: Any, sender: Sender
) -> None:
    never = manifest("never-ready")
    host = never["spec"]["route"]["hostnames"][0]
    name, stable = stable_one(never)
    never["spec"]["artifact"] = stable["artifact"]
    traffic = sender.send(host, rate=10)
    kubectl.apply(never)
    kubectl.wait(ROLLOUT, name, "jsonpath={.status.phase}=Degraded", 120)
    counted = traffic.stop()[host]
    status = kubectl.get(ROLLOUT, name)["status"]
    assert status["stable"] == stable
    assert status["weight"] == 0
    assert "ProgressDeadlineExceeded" in {c["reason"] for c in status["conditions"]}
    assert (counted["failed"], counted["sent"] > 0) == (0, True)


def test_a_missing_artifact_is_not_admitted_and_starts_nothing(kubectl: Kubectl, stable_one: Any) -> None:
    missing = manifest("missing-artifact")
    name, stable = stable_one(missing)
    kubectl.apply(missing)
    kubectl.wait(ROLLOUT, name, condition("Admitted", "status", "False"), 60)
    assert kubectl.get(ROLLOUT, name)["status"]["stable"] == stable
    assert len(kubectl.items("deployments", f"edgeramp.dev/rollout={name}")) == 1


def test_the_examples_of_bad_input_are_all_tried() -> None:
    tried = {
        "invalid-ratio",
        "weight-140",
        "missing-source",
        "wrong-digest",
        "corrupt-model",
        "no-matching-node",
        "never-ready",
        "missing-artifact",
    }
    assert {Path(p).stem for p in BAD.glob("*.yaml")} == tried
