"""One operator at a time."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import pytest

from edgeramp.effects.cluster import Cluster
from edgeramp.effects.fence import Fenced
from edgeramp.effects.kinds import Ref
from edgeramp.effects.memory import MemoryCluster
from edgeramp.entry.leader import DURATION, Leader
from edgeramp.values.errors import Unavailable


@dataclass
class Time:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def _leader(cluster: MemoryCluster, identity: str, time: Time) -> Leader:
    return Leader(cluster, "edgeramp-system", identity, clock=time, monotonic=time)


def test_the_second_waits_until_the_first_is_silent_for_the_whole_duration() -> None:
    cluster, time = MemoryCluster(), Time()
    first, second = _leader(cluster, "one", time), _leader(cluster, "two", time)
    assert first.try_once() and not second.try_once()
    time.now += DURATION - 1
    assert first.try_once() and not second.try_once()
    time.now += DURATION
    assert not second.try_once()  # it is exactly as old as it may be
    time.now += 1
    assert second.try_once() and not first.try_once()


def test_the_clock_of_the_other_does_not_matter() -> None:
    cluster, here, there = MemoryCluster(), Time(), Time(now=1000.0 - 3600)
    first, second = _leader(cluster, "one", there), _leader(cluster, "two", here)
    assert first.try_once()
    assert not second.try_once(), "an hour behind is not an hour old"


def test_a_restarted_container_takes_its_own_lease_back_at_once() -> None:
    cluster, time = MemoryCluster(), Time()
    assert _leader(cluster, "one", time).try_once()
    assert _leader(cluster, "one", time).try_once()


def test_a_lease_given_back_is_free() -> None:
    cluster, time = MemoryCluster(), Time()
    first = _leader(cluster, "one", time)
    assert first.try_once()
    first.release()
    assert _leader(cluster, "two", time).try_once()


def _manifest(name: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "shop"},
        "data": {},
    }


def test_an_operator_that_slept_writes_nothing_after_another_took_over() -> None:
    cluster, time = MemoryCluster(), Time()
    first, second = _leader(cluster, "one", time), _leader(cluster, "two", time)
    mine, other = Fenced(cluster, first.holds), Fenced(cluster, second.holds)
    with pytest.raises(Unavailable):
        mine.create(_manifest("too-early"))
    assert first.try_once() and not second.try_once()
    assert mine.create(_manifest("before"))
    time.now += DURATION + 1  # asleep in the middle of a look
    assert second.try_once()
    for write in (
        lambda: mine.create(_manifest("double")),
        lambda: mine.apply(_manifest("before")),
        lambda: mine.delete(Ref("v1", "ConfigMap", "shop", "before")),
        lambda: mine.patch(Ref("v1", "ConfigMap", "shop", "before"), {"data": {"a": "b"}}),
        lambda: mine.take_lease("host", "one", 60),
    ):
        with pytest.raises(Unavailable, match="nothing is written"):
            write()
    assert mine.get(Ref("v1", "ConfigMap", "shop", "before")), "looking is free"
    assert other.create(_manifest("after"))
    found = {o["metadata"]["name"] for o in cluster.list(("v1", "ConfigMap"), "shop")}
    assert found == {"before", "after"}


def test_writing_ends_before_another_can_take_the_lease() -> None:
    cluster, time = MemoryCluster(), Time()
    first, second = _leader(cluster, "one", time), _leader(cluster, "two", time)
    assert first.try_once() and not second.try_once()
    both = []
    while not second.try_once():
        both.append(first.holds() and second.holds())
        time.now += 0.5
    assert not first.holds() and second.holds() and not any(both)


def test_every_write_of_a_cluster_is_fenced() -> None:
    cluster = MemoryCluster()
    fenced = Fenced(cluster, lambda: False)
    methods = [n for n, _ in inspect.getmembers(Cluster, inspect.isfunction) if not n.startswith("_")]
    assert set(methods) - {"get", "list"} <= set(dir(fenced))
    for name in set(methods) - {"get", "list"}:
        count = len(inspect.signature(getattr(fenced, name)).parameters)
        with pytest.raises(Unavailable):
            getattr(fenced, name)(*[{}] * count)
