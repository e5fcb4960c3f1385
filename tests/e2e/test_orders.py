"""A person steers a ramp with kubectl while requests come in: pauses, promote, abort, retry, promote in full.

One ramp, told from its beginning to its end; not one request may fail on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from demo import paths
from tests.e2e.conftest import Sender, Traffic
from tests.e2e.kubectl import Kubectl
from tests.e2e.ramps import ROLLOUT, Artifacts, steered

pytestmark = [pytest.mark.cluster, pytest.mark.long]

NAME, HOST = "steered", "steered.example"
STEPS = [
    {"setWeight": 20}, {"pause": {}},
    {"setWeight": 40}, {"pause": {"duration": "10m"}},
    {"setWeight": 60}, {"pause": {"duration": "3s"}},
    {"setWeight": 80}, {"pause": {}},
]  # fmt: skip
STRATEGY = steered(STEPS, {"enabled": False})


@dataclass
class Ramp:
    """The Rollout as a person sees and steers it."""

    kubectl: Kubectl
    artifacts: Artifacts

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.kubectl.get(ROLLOUT, NAME)["status"])

    def becomes(self, path: str, value: str, seconds: int = 60) -> None:
        self.kubectl.wait(ROLLOUT, NAME, f"jsonpath={{.status{path}}}={value}", seconds)

    def is_at(self, weight: int, phase: str) -> None:
        self.becomes(".weight", str(weight))
        self.becomes(".phase", phase)

    def order(self, verb: str, step: str | None = None) -> dict[str, Any]:
        """Give an order for `step` (the present one when None); the record of what came of it."""
        before = self.status
        value = f"{before['candidate']['revision']}/{step or before['step'].split('/')[0]}"
        known = len(before.get("verbs") or [])
        self.kubectl.must("annotate", ROLLOUT, NAME, f"edgeramp.dev/{verb}={value}", "--overwrite")
        self.becomes(f".verbs[{known}].value", value)
        record = dict(self.status["verbs"][known])
        assert record["verb"] == verb
        return record

    def patch(self, body: str) -> None:
        self.kubectl.must("patch", ROLLOUT, NAME, "--type=merge", "--patch", body)


@pytest.fixture(scope="module")
def ramp(story: dict[str, Any], kubectl: Kubectl) -> Iterator[Ramp]:
    artifacts = Artifacts.of_the_demo(kubectl)
    kubectl.apply(artifacts.stable(NAME, HOST, strategy=STRATEGY))
    kubectl.wait(ROLLOUT, NAME, "condition=Ready", 120)
    yield Ramp(kubectl, artifacts)
    kubectl.must("delete", ROLLOUT, NAME, "--ignore-not-found", "--timeout=60s")


@pytest.fixture(scope="module", autouse=True)
def traffic(ramp: Ramp, sender: Sender) -> Iterator[Traffic]:
    """Requests during all orders: none fails, whatever is ordered."""
    running = sender.send(HOST, rate=20, seconds=900)
    yield running
    counted = running.stop()[HOST]
    assert (counted["failed"], counted["sent"] > 100) == (0, True), counted


def test_case_18_abort_when_nothing_runs_has_no_effect(ramp: Ramp) -> None:
    serving = ramp.status["stable"]["revision"]
    ramp.kubectl.must("annotate", ROLLOUT, NAME, f"edgeramp.dev/abort={serving}")
    ramp.becomes(".verbs[0].accepted", "false")
    assert "no ramp is running" in ramp.status["verbs"][0]["message"]
    assert (ramp.status["phase"], ramp.status["weight"]) == ("Healthy", 100)


def test_case_03_a_pause_without_duration_waits_for_a_person(ramp: Ramp) -> None:
    ramp.kubectl.apply(ramp.artifacts.candidate(NAME, HOST, strategy=STRATEGY))
    ramp.is_at(20, "Paused")
    assert ramp.status["step"] == "2/9"
    assert "promote" in ramp.status["next"]


def test_case_06_promote_leaves_one_step_and_a_second_click_is_refused(ramp: Ramp) -> None:
    assert ramp.order("promote")["accepted"]
    ramp.is_at(40, "Paused")
    late = ramp.order("promote", step="3")
    assert not late["accepted"]
    assert "step 4 now" in late["message"]
    assert (ramp.status["weight"], ramp.status["step"]) == (40, "4/9")


def test_case_15_abort_gives_all_requests_back_and_takes_the_pods_away(ramp: Ramp) -> None:
    candidate = ramp.status["candidate"]["revision"]
    assert ramp.order("abort")["accepted"]
    ramp.is_at(0, "Degraded")
    reasons = {c["type"]: c["reason"] for c in ramp.status["conditions"]}
    assert reasons["Ready"] == "Aborted"
    pods = f"edgeramp.dev/rollout={NAME},edgeramp.dev/revision={candidate}"
    ramp.kubectl.must("wait", "pod", "-l", pods, "--for=delete", "--timeout=60s")


def test_case_22_applying_the_same_manifest_does_not_try_again(ramp: Ramp) -> None:
    again = ramp.artifacts.candidate(NAME, HOST, strategy=STRATEGY, abortScaleDownDelaySeconds=6)
    ramp.kubectl.apply(again)
    generation = ramp.kubectl.get(ROLLOUT, NAME)["metadata"]["generation"]
    ramp.becomes(".observedGeneration", str(generation))
    assert (ramp.status["phase"], ramp.status["weight"]) == ("Degraded", 0)


def edgeramp(ramp: Ramp, verb: str, *flags: str) -> dict[str, Any]:
    """The command on the real API server: what it says, as JSON."""
    words = [
        verb,
        NAME,
        f"--namespace={ramp.kubectl.namespace}",
        f"--kubeconfig={paths.kubeconfig()}",
        *flags,
    ]
    done = subprocess.run(
        [sys.executable, "-m", "edgeramp.cli.main", *words, "--output=json"],
        env=paths.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout, done.stderr
    return {"code": done.returncode, **json.loads(done.stdout)}


def test_case_21_retry_begins_from_the_first_step(ramp: Ramp) -> None:
    said = edgeramp(ramp, "retry")
    assert (said["code"], said["accepted"]) == (0, True)
    ramp.is_at(20, "Paused")
    assert ramp.status["step"] == "2/9"
    user = json.loads(ramp.kubectl.must("auth", "whoami", "-o", "json"))["status"]["userInfo"]["username"]
    assert ramp.status["verbs"][-1]["by"] == f"kubectl-edgeramp/{user}"


def test_an_order_for_another_step_is_refused_to_the_command(ramp: Ramp) -> None:
    said = edgeramp(ramp, "promote", "--step=7")
    assert (said["code"], said["accepted"]) == (3, False)
    assert "step 2 now" in said["message"]
    assert ramp.status["weight"] == 20


def test_a_freeze_of_the_cluster_holds_the_ramp_and_refuses_promote(ramp: Ramp, system: Kubectl) -> None:
    system.must("create", "configmap", "edgeramp-freeze", "--from-literal=reason=a test of freezes")
    try:
        ramp.patch('{"metadata": {"labels": {"looked": "at"}}}')
        ramp.becomes(".conditions[?(@.type=='Paused')].reason", "Frozen")
        refused = ramp.order("promote")
        assert not refused["accepted"]
        assert "a test of freezes" in refused["message"]
        assert ramp.status["weight"] == 20
    finally:
        system.must("delete", "configmap", "edgeramp-freeze")
    ramp.becomes(".conditions[?(@.type=='Paused')].reason", "PauseStep")


def test_case_04_promote_out_of_a_long_pause_and_a_short_one_ends_by_itself(ramp: Ramp) -> None:
    assert ramp.order("promote")["accepted"]
    ramp.is_at(40, "Paused")
    assert ramp.order("promote")["accepted"]  # out of ten minutes
    ramp.is_at(80, "Paused")  # 60 % and its three seconds went by without anybody


def test_case_07_paused_freezes_the_weight_and_refuses_promote(ramp: Ramp) -> None:
    ramp.patch('{"spec": {"paused": true}}')
    ramp.becomes(".observedGeneration", str(ramp.kubectl.get(ROLLOUT, NAME)["metadata"]["generation"]))
    refused = ramp.order("promote")
    assert not refused["accepted"]
    assert "spec.paused" in refused["message"]
    assert ramp.status["weight"] == 80
    ramp.patch('{"spec": {"paused": false}}')
    ramp.becomes(".observedGeneration", str(ramp.kubectl.get(ROLLOUT, NAME)["metadata"]["generation"]))


def test_case_05_promote_in_full_ends_the_ramp(ramp: Ramp) -> None:
    assert ramp.order("promote-full")["accepted"]
    ramp.becomes(".stable.artifact", ramp.artifacts.winner)
    ramp.kubectl.wait(ROLLOUT, NAME, "condition=Ready", 60)
    status = ramp.status
    assert [h["outcome"] for h in status["history"]] == ["Promoted", "Aborted", "FastPromoted"]
    assert [w["weight"] for w in status["weights"]] == [100, 20, 40, 0, 20, 40, 60, 80, 100]


def test_a_rollback_by_request_serves_what_served_before_while_the_spec_stays(ramp: Ramp) -> None:
    said = edgeramp(ramp, "rollback", "--timeout=60s")
    assert (said["code"], said["accepted"]) == (0, True)
    ramp.becomes(".stable.artifact", ramp.artifacts.baseline)
    ramp.kubectl.wait(ROLLOUT, NAME, "condition=Ready", 60)
    found = ramp.kubectl.get(ROLLOUT, NAME)
    reasons = {c["type"]: c["reason"] for c in found["status"]["conditions"]}
    assert (reasons["Promoted"], reasons["Admitted"]) == ("RollbackRequested", "AllowedUncertified")
    assert found["spec"]["artifact"] == ramp.artifacts.winner
