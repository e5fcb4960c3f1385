"""A cluster that is only written to while this process holds the operator's Lease by its own clock.

A process that was stopped (a frozen machine, a long pause) wakes up in the middle of a look, before any thread has noticed
that another operator took over. Each write asks first; reads are free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgeramp.decide.decision import Event
from edgeramp.effects.cluster import Cluster, Labels, Object
from edgeramp.effects.kinds import Kind, Ref
from edgeramp.values.errors import Unavailable


class Fenced:
    """`cluster`, refusing writes with Unavailable while `holds()` is false. See Cluster for the methods."""

    def __init__(self, cluster: Cluster, holds: Callable[[], bool]) -> None:
        self._cluster, self._holds = cluster, holds

    def _writable(self) -> Cluster:
        if not self._holds():
            raise Unavailable("nothing is written: the operator's Lease was not renewed in time")
        return self._cluster

    def get(self, ref: Ref) -> Object | None:
        return self._cluster.get(ref)

    def list(
        self, kind: Kind, namespace: str | None = None, labels: Labels | None = None
    ) -> tuple[Object, ...]:
        return self._cluster.list(kind, namespace, labels)

    def apply(self, manifest: Mapping[str, Any]) -> Object:
        return self._writable().apply(manifest)

    def create(self, manifest: Mapping[str, Any]) -> bool:
        return self._writable().create(manifest)

    def delete(self, ref: Ref, uid: str | None = None) -> None:
        self._writable().delete(ref, uid)

    def patch(self, ref: Ref, body: Mapping[str, Any]) -> Object | None:
        return self._writable().patch(ref, body)

    def replace(self, manifest: Mapping[str, Any]) -> Object:
        return self._writable().replace(manifest)

    def replace_status(self, ref: Ref, resource_version: str, status: Mapping[str, Any]) -> Object:
        return self._writable().replace_status(ref, resource_version, status)

    def event(self, regarding: Mapping[str, Any], event: Event) -> None:
        self._writable().event(regarding, event)

    def take_lease(self, name: str, holder: str, seconds: int) -> bool:
        return self._writable().take_lease(name, holder, seconds)

    def drop_lease(self, name: str, holder: str) -> bool:
        return self._writable().drop_lease(name, holder)
