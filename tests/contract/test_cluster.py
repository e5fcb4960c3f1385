"""What both clusters agree on. Every test runs on the in-memory twin and on a real API server."""

from __future__ import annotations

import pytest
from tests.contract.conftest import World
from tests.support.objects import configmap, rollout

from edgeramp.decide.decision import Event
from edgeramp.effects.kinds import CONFIGMAP, EVENT, LEASE, NODE, ROLLOUT, Ref, ref
from edgeramp.values.errors import Conflict


def _rollout_in(world: World, name: str = "r") -> dict:
    world.cluster.create(rollout(name, world.namespace))
    found = world.cluster.get(Ref(*ROLLOUT, world.namespace, name))
    assert found is not None
    return found


def _version(obj: dict) -> str:
    return obj["metadata"]["resourceVersion"]


def test_what_is_not_there_is_none_and_empty(world: World) -> None:
    assert world.cluster.get(Ref(*ROLLOUT, world.namespace, "none")) is None
    assert world.cluster.list(ROLLOUT, world.namespace) == ()


def test_an_existing_object_is_kept_by_create(world: World) -> None:
    assert world.cluster.create(configmap("c", world.namespace, {"a": "1"}))
    assert not world.cluster.create(configmap("c", world.namespace, {"a": "2"}))
    assert world.cluster.get(Ref(*CONFIGMAP, world.namespace, "c"))["data"] == {"a": "1"}


def test_objects_carry_kind_uid_and_version(world: World) -> None:
    _rollout_in(world)
    (found,) = world.cluster.list(ROLLOUT, world.namespace)
    assert (found["apiVersion"], found["kind"]) == ROLLOUT
    assert found["metadata"]["uid"] and _version(found)
    assert found["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ({"app": "x"}, ["a", "b"]),
        ({"app": "x", "tier": "1"}, ["a"]),
        ({"tier": None}, ["a", "c"]),
        ({"app": ("x", "y")}, ["a", "b", "c"]),
        ({"app": ("y",), "tier": "9"}, []),
        ({}, ["a", "b", "c"]),
    ],
)
def test_labels_select(world: World, labels: dict, names: list[str]) -> None:
    for name, have in {
        "c": {"app": "y", "tier": "2"},
        "a": {"app": "x", "tier": "1"},
        "b": {"app": "x"},
    }.items():
        world.cluster.create(configmap(f"s-{name}", world.namespace, {}, labels=have))
    found = [o["metadata"]["name"] for o in world.cluster.list(CONFIGMAP, world.namespace, labels)]
    assert [n.removeprefix("s-") for n in found if n.startswith("s-")] == names


def test_applying_the_same_intent_again_changes_nothing(world: World) -> None:
    first = world.cluster.apply(rollout("r", world.namespace))
    again = world.cluster.apply(rollout("r", world.namespace))
    assert _version(again) == _version(first)
    assert again["metadata"]["generation"] == 1


def test_what_leaves_the_intent_leaves_the_object(world: World) -> None:
    world.cluster.apply(configmap("c", world.namespace, {"a": "1", "b": "2"}, labels={"x": "1", "y": "2"}))
    after = world.cluster.apply(configmap("c", world.namespace, {"a": "1"}, labels={"y": "2"}))
    assert after["data"] == {"a": "1"}
    assert after["metadata"]["labels"] == {"y": "2"}


def test_fields_of_others_survive_an_apply(world: World) -> None:
    world.cluster.apply(configmap("c", world.namespace, {"ours": "1"}))
    world.cluster.patch(Ref(*CONFIGMAP, world.namespace, "c"), {"data": {"theirs": "2"}})
    after = world.cluster.apply(configmap("c", world.namespace, {"ours": "3"}))
    assert after["data"] == {"ours": "3", "theirs": "2"}


def test_apply_takes_a_field_back_from_others(world: World) -> None:
    world.cluster.apply(configmap("c", world.namespace, {"ours": "1"}))
    world.cluster.patch(Ref(*CONFIGMAP, world.namespace, "c"), {"data": {"ours": "2"}})
    assert world.cluster.apply(configmap("c", world.namespace, {"ours": "1"}))["data"] == {"ours": "1"}


def test_a_field_that_others_changed_is_theirs(world: World) -> None:
    world.cluster.apply(configmap("c", world.namespace, {"a": "1", "b": "1"}))
    world.cluster.patch(Ref(*CONFIGMAP, world.namespace, "c"), {"data": {"a": "2"}})
    assert world.cluster.apply(configmap("c", world.namespace, {}))["data"] == {"a": "2"}


def test_finalizers_are_a_set_shared_with_others(world: World) -> None:
    world.cluster.apply(configmap("c", world.namespace, {}, finalizers=["example.com/ours"]))
    where = Ref(*CONFIGMAP, world.namespace, "c")
    both = ["example.com/ours", "example.com/theirs"]
    world.cluster.patch(where, {"metadata": {"finalizers": both}})
    after = world.cluster.apply(configmap("c", world.namespace, {}))
    assert after["metadata"]["finalizers"] == ["example.com/theirs"]
    world.cluster.patch(where, {"metadata": {"finalizers": None}})
    assert "finalizers" not in world.cluster.get(where)["metadata"]


def test_the_generation_counts_changes_of_the_spec_only(world: World) -> None:
    made = _rollout_in(world)
    where = ref(made)
    labelled = world.cluster.patch(where, {"metadata": {"labels": {"a": "b"}}})
    assert labelled["metadata"]["generation"] == 1 and _version(labelled) != _version(made)
    status = world.cluster.replace_status(where, _version(labelled), {"phase": "Healthy"})
    assert status["metadata"]["generation"] == 1
    changed = world.cluster.patch(where, {"spec": {"paused": True}})
    assert changed["metadata"]["generation"] == 2
    assert changed["status"]["phase"] == "Healthy"


def test_status_is_replaced_whole(world: World) -> None:
    made = _rollout_in(world)
    full = {"phase": "Progressing", "weight": 5, "conditions": []}
    first = world.cluster.replace_status(ref(made), _version(made), full)
    second = world.cluster.replace_status(ref(made), _version(first), {"phase": "Healthy"})
    assert first["status"] == full | {"conditions": []}
    assert second["status"].get("weight") is None and second["status"]["phase"] == "Healthy"
    assert second["spec"] == made["spec"]


def test_an_equal_status_changes_nothing(world: World) -> None:
    made = _rollout_in(world)
    first = world.cluster.replace_status(ref(made), _version(made), {"phase": "Healthy"})
    again = world.cluster.replace_status(ref(made), _version(first), {"phase": "Healthy"})
    assert _version(again) == _version(first)


def test_a_status_decided_on_an_old_look_is_a_conflict(world: World) -> None:
    made = _rollout_in(world)
    world.cluster.patch(ref(made), {"metadata": {"annotations": {"a": "b"}}})
    with pytest.raises(Conflict):
        world.cluster.replace_status(ref(made), _version(made), {"phase": "Healthy"})
    assert "phase" not in (world.cluster.get(ref(made)).get("status") or {})


def test_a_status_of_something_gone_is_a_conflict(world: World) -> None:
    made = _rollout_in(world)
    world.cluster.delete(ref(made))
    with pytest.raises(Conflict):
        world.cluster.replace_status(ref(made), _version(made), {"phase": "Healthy"})


def test_an_applied_status_is_ignored(world: World) -> None:
    after = world.cluster.apply({**rollout("r", world.namespace), "status": {"phase": "Healthy"}})
    assert "phase" not in (after.get("status") or {})


def test_a_patch_merges_removes_and_respects_the_version(world: World) -> None:
    made = _rollout_in(world)
    patched = world.cluster.patch(ref(made), {"metadata": {"annotations": {"a": "1", "b": "2"}}})
    assert patched["metadata"]["annotations"] == {"a": "1", "b": "2"}
    with pytest.raises(Conflict):
        outdated = {"annotations": {"a": None}, "resourceVersion": _version(made)}
        world.cluster.patch(ref(made), {"metadata": outdated})
    fresh = {"annotations": {"a": None}, "resourceVersion": _version(patched)}
    assert world.cluster.patch(ref(made), {"metadata": fresh})["metadata"]["annotations"] == {"b": "2"}
    assert world.cluster.patch(Ref(*ROLLOUT, world.namespace, "none"), {"metadata": {}}) is None


def test_only_the_very_object_is_deleted(world: World) -> None:
    made = _rollout_in(world)
    world.cluster.delete(ref(made), uid="00000000-0000-4000-8000-000000000000")
    assert world.cluster.get(ref(made)) is not None
    world.cluster.delete(ref(made), uid=made["metadata"]["uid"])
    world.cluster.delete(ref(made))
    assert world.cluster.get(ref(made)) is None


def test_a_finalizer_holds_an_object_until_it_is_removed(world: World) -> None:
    world.cluster.create(rollout("r", world.namespace) | {
        "metadata": {"name": "r", "namespace": world.namespace, "finalizers": ["edgeramp.dev/rollout"]}
    })  # fmt: skip
    where = Ref(*ROLLOUT, world.namespace, "r")
    world.cluster.delete(where)
    held = world.cluster.get(where)
    assert held["metadata"]["deletionTimestamp"]
    world.cluster.delete(where)
    assert world.cluster.get(where)["metadata"]["deletionTimestamp"] == held["metadata"]["deletionTimestamp"]
    world.cluster.patch(where, {"metadata": {"finalizers": None}})
    assert world.cluster.get(where) is None


def test_replace_needs_the_present_version(world: World) -> None:
    world.cluster.create(configmap("c", world.namespace, {"a": "1"}))
    first = world.cluster.get(Ref(*CONFIGMAP, world.namespace, "c"))
    second = world.cluster.replace({**first, "data": {"b": "2"}})
    assert second["data"] == {"b": "2"}
    with pytest.raises(Conflict):
        world.cluster.replace({**first, "data": {"c": "3"}})


def test_a_repeated_event_counts_up(world: World) -> None:
    made = _rollout_in(world)
    twice = Event("Warning", "RolledBack", "candidate answers with errors", "RollBack")
    for event in (twice, Event("Normal", "Promoted", "to 100 %"), twice, twice):
        world.cluster.event(made, event)
        world.clock.now += 60
    events = {e["reason"]: e for e in world.cluster.list(EVENT, world.namespace)}
    assert set(events) == {"RolledBack", "Promoted"}
    assert events["RolledBack"]["series"]["count"] == 3
    assert events["RolledBack"]["regarding"]["uid"] == made["metadata"]["uid"]
    assert events["RolledBack"]["type"] == "Warning"
    assert "series" not in events["Promoted"]


def test_a_lease_has_one_holder_until_it_runs_out(world: World) -> None:
    assert world.cluster.take_lease("edgeramp-measure-a", "one", 30)
    assert not world.cluster.take_lease("edgeramp-measure-a", "two", 30)
    world.clock.now += 20
    assert world.cluster.take_lease("edgeramp-measure-a", "one", 30)
    world.clock.now += 20
    assert not world.cluster.take_lease("edgeramp-measure-a", "two", 30)
    world.clock.now += 11
    assert world.cluster.take_lease("edgeramp-measure-a", "two", 30)
    assert not world.cluster.drop_lease("edgeramp-measure-a", "one")
    held = world.cluster.get(Ref(*LEASE, world.namespace, "edgeramp-measure-a"))
    assert held["spec"]["holderIdentity"] == "two" and held["spec"]["leaseTransitions"] == 1
    assert world.cluster.drop_lease("edgeramp-measure-a", "two")
    assert world.cluster.take_lease("edgeramp-measure-a", "one", 30)


def test_kinds_without_a_namespace(world: World) -> None:
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": world.namespace, "labels": {"class": "box"}},
    }
    world.cluster.create(node)
    assert world.cluster.get(Ref(*NODE, "", world.namespace))["metadata"]["labels"] == {"class": "box"}
    world.cluster.delete(Ref(*NODE, "", world.namespace))
