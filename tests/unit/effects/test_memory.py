"""What only the in-memory cluster can show: the garbage collector is a controller of its own in a real one."""

from __future__ import annotations

from typing import Any

from tests.support.objects import configmap, rollout

from edgeramp.effects.kinds import CONFIGMAP, ROLLOUT, Ref
from edgeramp.effects.memory import MemoryCluster


def _owned(name: str, *uids: str, **meta: Any) -> dict[str, Any]:
    owners = [{"apiVersion": ROLLOUT[0], "kind": "Rollout", "name": "r", "uid": uid} for uid in uids]
    return configmap(name, "default", {}, ownerReferences=owners, **meta)


def test_what_an_object_owned_goes_with_it_unless_it_has_another_owner() -> None:
    cluster = MemoryCluster()
    one, two = cluster.put(rollout("r")), cluster.put(rollout("r2"))
    uids = [o["metadata"]["uid"] for o in (one, two)]
    cluster.put(_owned("of-one", uids[0]))
    cluster.put(_owned("of-both", *uids))
    cluster.put(_owned("held", uids[0], finalizers=["example.com/hold"]))
    cluster.put(configmap("free", "default", {}))
    cluster.delete(Ref(*ROLLOUT, "default", "r"))
    left = {o["metadata"]["name"]: o["metadata"].get("deletionTimestamp") for o in cluster.list(CONFIGMAP)}
    assert set(left) == {"of-both", "held", "free"}
    assert left["held"] and not left["of-both"]


def test_every_change_is_told_once() -> None:
    cluster, told = MemoryCluster(), list[str]()
    cluster.subscribe(lambda kind, obj: told.append(f"{kind} {obj['metadata']['name']}"))
    cluster.apply(configmap("c", "default", {"a": "1"}))
    cluster.apply(configmap("c", "default", {"a": "1"}))
    cluster.apply(configmap("c", "default", {"a": "2"}))
    cluster.delete(Ref(*CONFIGMAP, "default", "c"))
    assert told == ["ADDED c", "MODIFIED c", "DELETED c"]


def test_what_is_handed_out_is_a_copy() -> None:
    cluster = MemoryCluster()
    cluster.put(configmap("c", "default", {"a": "1"}))
    got = cluster.get(Ref(*CONFIGMAP, "default", "c"))
    assert got is not None
    got["data"]["a"] = "2"
    assert cluster.list(CONFIGMAP)[0]["data"] == {"a": "1"}
