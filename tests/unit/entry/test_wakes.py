"""Whom a change concerns, and which changes are worth a look."""

from __future__ import annotations

from typing import Any

import pytest

from edgeramp.entry.queue import Key
from edgeramp.entry.wakes import concerned, node_fingerprint, primary_fingerprint, spec_fingerprint
from edgeramp.values.names import API_VERSION


def _owned(kind: str, owner: str, name: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    owners = [{"apiVersion": API_VERSION, "kind": owner, "name": name, "uid": "u"}]
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {
        "name": "x", "namespace": "ns", "ownerReferences": owners, "labels": labels or {}}}  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "key"),
    [
        ({"edgeramp.dev/rollout": "r", "edgeramp.dev/model": "m"}, ("Rollout", "r")),
        (
            {"edgeramp.dev/run": "o", "edgeramp.dev/model": "m", "edgeramp.dev/role": "measure"},
            ("OptimizationRun", "o"),
        ),
        ({"edgeramp.dev/model": "m", "edgeramp.dev/role": "stage"}, ("EdgeModel", "m")),
    ],
)
def test_a_pods_labels_say_whom_it_concerns(labels: dict[str, str], key: tuple[str, str]) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns", "labels": labels}}
    assert concerned(pod) == {Key(key[0], "ns", key[1])}


def test_a_pod_of_somebody_else_concerns_nobody() -> None:
    assert (
        concerned({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns"}})
        == frozenset()
    )


def test_an_owned_rollout_concerns_itself_and_its_model() -> None:
    rollout = _owned("Rollout", "EdgeModel", "m", {"edgeramp.dev/model": "m"}) | {"apiVersion": API_VERSION}
    assert concerned(rollout) == {Key("Rollout", "ns", "x"), Key("EdgeModel", "ns", "m")}


def _rollout(**status: Any) -> dict[str, Any]:
    return {
        "kind": "Rollout",
        "metadata": {"uid": "u", "generation": 1, "resourceVersion": "1"},
        "status": status,
    }


def test_counting_alone_is_no_reason_to_look() -> None:
    ready = {"type": "Ready", "status": "False", "reason": "Ramping", "message": "12 requests"}
    before = _rollout(
        ramp={"step": 1, "evidence": "{}", "lastScrapeAt": 1.0}, message="m", conditions=[ready]
    )
    after = _rollout(
        ramp={"step": 1, "evidence": "{1}", "lastScrapeAt": 2.0}, message="n", findings=[1],
        conditions=[ready | {"message": "24 requests"}],
    )  # fmt: skip
    assert primary_fingerprint(before) == primary_fingerprint(after)


@pytest.mark.parametrize(
    "change",
    [
        {"status": {"ramp": {"step": 2}}},
        {"status": {"ramp": {"step": 1}, "weight": 5}},
        {
            "status": {
                "ramp": {"step": 1},
                "conditions": [{"type": "Ready", "status": "True", "reason": "Healthy"}],
            }
        },
        {"metadata": {"uid": "u", "generation": 2}},
        {"metadata": {"uid": "u", "generation": 1, "annotations": {"edgeramp.dev/abort": "x/1"}}},
        {"metadata": {"uid": "u", "generation": 1, "deletionTimestamp": "now"}},
    ],
)
def test_everything_else_is(change: dict[str, Any]) -> None:
    before = _rollout(ramp={"step": 1})
    assert primary_fingerprint(before) != primary_fingerprint({**before, **change})


def test_a_heartbeat_of_a_node_is_no_reason_to_look_but_its_readiness_is() -> None:
    def node(ready: str, beat: str, **spec: Any) -> dict[str, Any]:
        conditions = [{"type": "Ready", "status": ready, "lastHeartbeatTime": beat}]
        return {
            "metadata": {"labels": {"a": "b"}},
            "spec": spec,
            "status": {"conditions": conditions, "images": [beat]},
        }

    assert node_fingerprint(node("True", "1")) == node_fingerprint(node("True", "2"))
    assert node_fingerprint(node("True", "1")) != node_fingerprint(node("False", "1"))
    assert node_fingerprint(node("True", "1")) != node_fingerprint(node("True", "1", unschedulable=True))


def test_the_claim_of_a_rollout_changes_with_its_spec_only() -> None:
    assert spec_fingerprint(_rollout(weight=1)) == spec_fingerprint(_rollout(weight=2))
