"""One operator at a time."""

from __future__ import annotations

from dataclasses import dataclass

from edgeramp.effects.memory import MemoryCluster
from edgeramp.entry.leader import DURATION, Leader


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
