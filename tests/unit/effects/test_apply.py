"""A decision is carried out in its order, and can be carried out again."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.objects import configmap, rollout

from edgeramp.api import RolloutStatus
from edgeramp.decide.decision import Apply, Create, Decision, Delete, DropLease, Event, Patch, TakeLease
from edgeramp.effects.apply import carry_out
from edgeramp.effects.kinds import CONFIGMAP, EVENT, LEASE, ROLLOUT, Ref
from edgeramp.effects.memory import MemoryCluster
from edgeramp.values.errors import Conflict

WHERE = Ref(*ROLLOUT, "default", "r")
EVERYTHING = Decision(
    RolloutStatus(phase="Progressing", weight=5),
    actions=(
        TakeLease("edgeramp-measure-a", "me", 30),
        Create(configmap("made", "default", {"a": "1"})),
        Apply(configmap("whole", "default", {"a": "1"})),
        Patch(*WHERE.of, "default", "r", {"metadata": {"annotations": {"edgeramp.dev/abort": None}}}),
        Patch(*WHERE.of, "default", "gone", {"metadata": {}}),
        Delete(*CONFIGMAP, "default", "old"),
        DropLease("edgeramp-measure-b", "me"),
    ),
    events=(Event("Normal", "Started", "the ramp began"),),
)


def _cluster() -> tuple[MemoryCluster, dict[str, Any]]:
    cluster = MemoryCluster()
    made = rollout("r")
    made["metadata"]["annotations"] = {"edgeramp.dev/abort": "x/1"}
    cluster.put(configmap("old", "default", {}))
    return cluster, cluster.put(made)


def test_everything_is_done_in_order() -> None:
    cluster, seen = _cluster()
    outcome = carry_out(cluster, seen, EVERYTHING)
    assert outcome.status_written and outcome.lease_dropped
    assert outcome.done == (
        "took Lease edgeramp-measure-a",
        "created ConfigMap default/made",
        "applied ConfigMap default/whole",
        "patched Rollout default/r",
        "found no Rollout default/gone to patch",
        "deleted ConfigMap default/old",
        "had no Lease edgeramp-measure-b to drop",
    )
    now = cluster.get(WHERE)
    assert now is not None
    assert (now["status"]["weight"], now["metadata"].get("annotations")) == (5, {})
    assert [e["reason"] for e in cluster.list(EVENT)] == ["Started"]


def test_a_second_time_changes_no_object() -> None:
    cluster, seen = _cluster()
    carry_out(cluster, seen, EVERYTHING)
    seen = cluster.get(WHERE)
    assert seen is not None
    changes: list[str] = []
    cluster.subscribe(lambda kind, obj: changes.append(obj["kind"]))
    outcome = carry_out(cluster, seen, EVERYTHING)
    assert not outcome.status_written
    assert "kept ConfigMap default/made" in outcome.done
    assert set(changes) <= {"Lease", "Event"}  # renewed, counted


def test_a_changed_object_voids_the_whole_decision() -> None:
    cluster, seen = _cluster()
    cluster.patch(WHERE, {"spec": {"paused": True}})
    with pytest.raises(Conflict):
        carry_out(cluster, seen, EVERYTHING)
    assert [o["metadata"]["name"] for o in cluster.list(CONFIGMAP)] == ["old"]
    assert cluster.list(EVENT) == () and cluster.list(LEASE) == ()


def test_what_the_new_status_lacks_vanishes() -> None:
    cluster, seen = _cluster()
    carry_out(cluster, seen, Decision(RolloutStatus(phase="Progressing", weight=5)))
    now = cluster.get(WHERE)
    assert now is not None
    carry_out(cluster, now, Decision(RolloutStatus(phase="Healthy")))
    now = cluster.get(WHERE)
    assert now is not None and "weight" not in now["status"]
