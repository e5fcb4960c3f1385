"""The operator is killed in the middle of a ramp: no step is skipped or repeated, no request fails."""

from __future__ import annotations

from typing import Any

import pytest
from tests.e2e.conftest import Sender
from tests.e2e.kubectl import Kubectl
from tests.e2e.ramps import JUDGED, ROLLOUT, Artifacts, steered

pytestmark = pytest.mark.cluster

NAME, HOST = "restarted", "restarted.example"
STRATEGY = steered([{"setWeight": 20}, {"setWeight": 50}], JUDGED)


def test_case_47_the_operator_is_killed_mid_ramp(
    story: dict[str, Any], kubectl: Kubectl, system: Kubectl, sender: Sender
) -> None:
    artifacts = Artifacts.of_the_demo(kubectl)
    try:
        kubectl.apply(artifacts.stable(NAME, HOST, strategy=STRATEGY))
        kubectl.wait(ROLLOUT, NAME, "condition=Ready", 120)
        traffic = sender.send(HOST, rate=40)
        kubectl.apply(artifacts.candidate(NAME, HOST, strategy=STRATEGY))
        kubectl.wait(ROLLOUT, NAME, "jsonpath={.status.weight}=20", 120)
        kill(system)
        kubectl.wait(ROLLOUT, NAME, "jsonpath={.status.weight}=50", 180)
        kill(system)
        kubectl.wait(ROLLOUT, NAME, f"jsonpath={{.status.stable.artifact}}={artifacts.winner}", 180)
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
