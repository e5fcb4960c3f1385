"""Both clusters, for one suite: in memory, and a real API server (marker `apiserver`)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from tests.support import apiserver as server

from edgeramp.effects.cluster import Cluster
from edgeramp.effects.live import LiveCluster
from edgeramp.effects.memory import MemoryCluster

_numbers = itertools.count()


class Clock:
    """Time that stands still until it is told to move."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class World:
    """A cluster, a namespace of its own in it, and the clock its Leases and Events go by."""

    cluster: Cluster
    namespace: str
    clock: Clock


@pytest.fixture(scope="session")
def apiserver() -> Iterator[server.ApiServer]:
    """A real API server for the whole session."""
    try:
        with server.running() as running:
            yield running
    except server.MissingBinary as missing:
        pytest.skip(str(missing))


def _namespace() -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"contract-{next(_numbers)}"}}


def _world(make: Callable[[str, Clock], Cluster]) -> World:
    clock, namespace = Clock(1_700_000_000.0), _namespace()
    name = str(namespace["metadata"]["name"])  # type: ignore[index]
    cluster = make(name, clock)
    cluster.create(namespace)
    return World(cluster, name, clock)


@pytest.fixture(params=["memory", pytest.param("live", marks=pytest.mark.apiserver)])
def world(request: pytest.FixtureRequest) -> World:
    """One empty namespace in each kind of cluster."""
    if request.param == "memory":
        return _world(lambda namespace, clock: MemoryCluster(namespace, clock))
    access = request.getfixturevalue("apiserver").access()
    return _world(lambda namespace, clock: LiveCluster(access, namespace, clock))
