"""Leases and Events in terms of get, create, replace and delete: the part that both clusters share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from edgeramp.decide.decision import Event
from edgeramp.effects.cluster import Object
from edgeramp.effects.kinds import EVENT, LEASE, Ref
from edgeramp.values.errors import Conflict
from edgeramp.values.names import FIELD_MANAGER, LABEL_MANAGED_BY, short_hash
from edgeramp.values.quantities import epoch


def micro_time(moment: float) -> str:
    """metav1.MicroTime in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def holder_of(lease: Mapping[str, Any] | None, now: float) -> str:
    """Who holds a Lease at `now` (seconds since the epoch); empty when nobody does or it ran out."""
    spec = (lease or {}).get("spec") or {}
    if not spec.get("holderIdentity") or not spec.get("renewTime"):
        return ""
    alive = epoch(spec["renewTime"]) + float(spec.get("leaseDurationSeconds") or 0) > now
    return str(spec["holderIdentity"]) if alive else ""


def lease_manifest(
    current: Mapping[str, Any] | None, namespace: str, name: str, holder: str, seconds: int, now: float
) -> Object:
    """The Lease held by `holder` from now on; with the resourceVersion of `current`, if there is one."""
    before = (current or {}).get("spec") or {}
    renewed = before.get("holderIdentity") == holder
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": seconds,
        "acquireTime": before["acquireTime"] if renewed else micro_time(now),
        "renewTime": micro_time(now),
        "leaseTransitions": int(before.get("leaseTransitions") or 0) + (0 if renewed or not current else 1),
    }
    meta = {"name": name, "namespace": namespace, "labels": {LABEL_MANAGED_BY: FIELD_MANAGER}}
    if current:
        meta["resourceVersion"] = current["metadata"]["resourceVersion"]
    return {"apiVersion": LEASE[0], "kind": LEASE[1], "metadata": meta, "spec": spec}


class Records(ABC):
    """Mix-in: needs a clock (seconds since the epoch) and the operator's namespace."""

    def __init__(self, namespace: str, clock: Callable[[], float]) -> None:
        self._namespace, self._clock = namespace, clock

    @abstractmethod
    def get(self, ref: Ref) -> Object | None: ...

    @abstractmethod
    def create(self, manifest: Mapping[str, Any]) -> bool: ...

    @abstractmethod
    def replace(self, manifest: Mapping[str, Any]) -> Object: ...

    @abstractmethod
    def delete(self, ref: Ref, uid: str | None = None) -> None: ...

    def take_lease(self, name: str, holder: str, seconds: int) -> bool:
        """See Cluster."""
        now = self._clock()
        current = self.get(Ref(*LEASE, self._namespace, name))
        if holder_of(current, now) not in ("", holder):
            return False
        manifest = lease_manifest(current, self._namespace, name, holder, seconds, now)
        if current is None:
            return self.create(manifest)
        try:
            self.replace(manifest)
        except Conflict:
            return False
        return True

    def drop_lease(self, name: str, holder: str) -> bool:
        """See Cluster."""
        lease = Ref(*LEASE, self._namespace, name)
        current = self.get(lease)
        if current is None or (current.get("spec") or {}).get("holderIdentity") != holder:
            return False
        self.delete(lease, current["metadata"]["uid"])
        return True

    def event(self, regarding: Mapping[str, Any], event: Event) -> None:
        """See Cluster. The name is a hash of what is said, so the same event again is found by name."""
        meta = regarding["metadata"]
        said = [meta.get("uid", ""), event.type, event.reason, event.note, event.action]
        where = Ref(*EVENT, meta.get("namespace", "default"), f"{meta['name']}.{short_hash(said, 16)}")
        if self.create(self._event_manifest(where, regarding, event)):
            return
        current = self.get(where)
        if current is not None:
            series = current.get("series") or {"count": 1}
            count = {"count": series["count"] + 1, "lastObservedTime": micro_time(self._clock())}
            try:
                self.replace({**current, "series": count})
            except Conflict:
                return  # somebody counted it meanwhile

    def _event_manifest(self, where: Ref, regarding: Mapping[str, Any], event: Event) -> Object:
        meta = regarding["metadata"]
        return {
            "apiVersion": where.api_version,
            "kind": where.kind,
            "metadata": {"name": where.name, "namespace": where.namespace},
            "eventTime": micro_time(self._clock()),
            "type": event.type,
            "reason": event.reason,
            "note": event.note[:1024],
            "action": event.action,
            "reportingController": "edgeramp.dev/operator",
            "reportingInstance": self._namespace,
            "regarding": {
                "apiVersion": regarding["apiVersion"],
                "kind": regarding["kind"],
                "namespace": meta.get("namespace", ""),
                "name": meta["name"],
                "uid": meta.get("uid", ""),
                "resourceVersion": meta.get("resourceVersion", ""),
            },
        }
