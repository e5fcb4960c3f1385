"""Which objects a change in the cluster concerns. Pure; the watches call it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeramp.entry.queue import Key
from edgeramp.values.names import API_VERSION, LABEL_MODEL, LABEL_ROLE, LABEL_ROLLOUT, LABEL_RUN
from edgeramp.values.names import canonical_json as _canonical

PRIMARY = ("EdgeModel", "OptimizationRun", "Rollout")


def concerned(obj: Mapping[str, Any]) -> frozenset[Key]:
    """The objects to look at when `obj` (of ours or owned by ours) has changed: itself, owners, those its labels name."""
    meta = obj.get("metadata") or {}
    namespace = meta.get("namespace", "")
    keys = set()
    if obj.get("apiVersion") == API_VERSION and obj.get("kind") in PRIMARY:
        keys.add(Key(obj["kind"], namespace, meta["name"]))
    for owner in meta.get("ownerReferences") or []:
        if owner.get("apiVersion") == API_VERSION and owner.get("kind") in PRIMARY:
            keys.add(Key(owner["kind"], namespace, owner["name"]))
    if obj.get("apiVersion") != API_VERSION:
        keys |= _named_by_labels(meta.get("labels") or {}, namespace)
    return frozenset(keys)


def _named_by_labels(labels: Mapping[str, str], namespace: str) -> set[Key]:
    """A pod is owned by a Job or a ReplicaSet, so its labels say whom it concerns."""
    if labels.get(LABEL_ROLLOUT):
        return {Key("Rollout", namespace, labels[LABEL_ROLLOUT])}
    if labels.get(LABEL_RUN):
        return {Key("OptimizationRun", namespace, labels[LABEL_RUN])}
    if labels.get(LABEL_MODEL) and labels.get(LABEL_ROLE) in ("stage", "assess"):
        return {Key("EdgeModel", namespace, labels[LABEL_MODEL])}
    return set()


_SAID = ("message", "next", "plan", "findings", "progress")
"""Of a status: words for people, which no decision reads."""
_COUNTED = ("evidence", "lastScrapeAt", "looks", "looksFrom")
"""Of a ramp: what every scrape changes. What follows from it changes other fields, or comes with the next look."""


def primary_fingerprint(obj: Mapping[str, Any]) -> str:
    """What of one of our objects is worth a look at it and at its owner; a ramp's counting alone is not."""
    meta, status = obj.get("metadata") or {}, dict(obj.get("status") or {})
    for name in _SAID:
        status.pop(name, None)
    if status.get("ramp"):
        status["ramp"] = {key: value for key, value in status["ramp"].items() if key not in _COUNTED}
    status["conditions"] = [
        (c.get("type"), c.get("status"), c.get("reason"), c.get("observedGeneration"))
        for c in status.get("conditions") or []
    ]
    kept = ("generation", "labels", "annotations", "finalizers", "deletionTimestamp", "ownerReferences")
    return _canonical([obj.get("kind"), {key: meta.get(key) for key in kept}, status])


def spec_fingerprint(obj: Mapping[str, Any]) -> str:
    """Changes with the spec only."""
    meta = obj.get("metadata") or {}
    return _canonical([meta.get("uid"), meta.get("generation")])


def node_fingerprint(node: Mapping[str, Any]) -> str:
    """What of a Node matters to us; heartbeats and image lists do not change it."""
    spec, status = node.get("spec") or {}, node.get("status") or {}
    ready = [c["status"] for c in status.get("conditions") or [] if c.get("type") == "Ready"]
    meta = node.get("metadata") or {}
    return _canonical([
        meta.get("labels"), meta.get("deletionTimestamp"), spec.get("unschedulable"), spec.get("taints"), ready,
        status.get("allocatable"),
    ])  # fmt: skip


def gateway_fingerprint(gateway: Mapping[str, Any]) -> str:
    """What of a Gateway matters to us."""
    status = gateway.get("status") or {}
    conditions = [(c.get("type"), c.get("status")) for c in status.get("conditions") or []]
    return _canonical([gateway.get("spec"), status.get("addresses"), conditions])
