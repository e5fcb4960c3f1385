"""The operator is killed in the middle of a ramp: no step is skipped or repeated, no request fails."""

from __future__ import annotations

from typing import Any

import pytest
from demo import paths
from tests.e2e.conftest import Sender
from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.cluster

NAME, HOST = "restarted", "restarted.example"
ROLLOUT = "rollouts.edgeramp.dev"


def rollout(artifact: str, server: dict[str, Any]) -> dict[str, Any]:
    """Two short steps, judged by the always-valid tests, with margins that little traffic can prove."""
    return {
        "apiVersion": "edgeramp.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": NAME, "namespace": paths.NAMESPACE},
        "spec": {
            "artifact": artifact,
            "allowUncertified": {"reason": "a test of restarts", "approvedBy": "tests/e2e"},
            "target": {
                "name": "edge-box",
                "nodeSelector": {"edgeramp.dev/hardware-class": "edge-box"},
                "resources": {"cpu": "300m", "memory": "512Mi"},
            },
            "server": server,
            "route": {"gatewayRef": {"name": "edge"}, "hostnames": [HOST]},
            "strategy": {
                "steps": [{"setWeight": 20}, {"setWeight": 50}],
                "analysis": {
                    "scrapeInterval": "1s",
                    "stepMinimum": "10s",
                    "errors": {"userBudget": "0.05"},
                    "latency": {"promoteSlower": "0.9", "tolerateSlower": "0.8", "action": "Report"},
                },
            },
            "abortScaleDownDelaySeconds": 5,
        },
    }


def test_case_47_the_operator_is_killed_mid_ramp(
    story: dict[str, Any], kubectl: Kubectl, system: Kubectl, sender: Sender
) -> None:
    runs = kubectl.items("optimizationruns", "edgeramp.dev/model=digits,edgeramp.dev/target=edge-box")
    packaged = next(r["status"] for r in runs if r["status"].get("winner", {}).get("packaged"))
    baseline, winner = packaged["baselinePackage"], packaged["winner"]
    server = {"framework": "onnxruntime", "precision": "f32", "modelName": "digits"}
    try:
        kubectl.apply(rollout(baseline["reference"], server))
        kubectl.wait(ROLLOUT, NAME, "condition=Ready", 120)
        traffic = sender.send(HOST, rate=40)
        kubectl.apply(
            rollout(
                winner["packaged"]["reference"],
                server | {"framework": winner["framework"], "precision": "int8"},
            )
        )
        kubectl.wait(ROLLOUT, NAME, "jsonpath={.status.weight}=20", 120)
        kill(system)
        kubectl.wait(ROLLOUT, NAME, "jsonpath={.status.weight}=50", 180)
        kill(system)
        kubectl.wait(
            ROLLOUT, NAME, f"jsonpath={{.status.stable.artifact}}={winner['packaged']['reference']}", 180
        )
        kubectl.wait(ROLLOUT, NAME, "condition=Ready", 60)
        counted = traffic.stop()[HOST]
        status = kubectl.get(ROLLOUT, NAME)["status"]
        assert [w["weight"] for w in status["weights"]] == [100, 20, 50, 100]  # the first is the baseline's
        assert [h["outcome"] for h in status["history"]] == ["Promoted", "Promoted"]
        assert (counted["failed"], counted["sent"] > 0) == (0, True), counted
    finally:
        kubectl.must("delete", ROLLOUT, NAME, "--ignore-not-found", "--timeout=60s")


def kill(system: Kubectl) -> None:
    """At once and without a word: the process gets SIGKILL, nothing is handed over."""
    selector = "app.kubernetes.io/component=operator"
    system.must("delete", "pods", "-l", selector, "--grace-period=0", "--force", "--wait=false")
