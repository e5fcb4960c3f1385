"""A cluster in this process that behaves like the API server where it matters to us: resourceVersion and conflicts,
field ownership of server-side apply, generation, status apart, label selectors, finalizers, garbage collection.

Kept honest by tests/contract, which runs one suite on this and on a real API server. It fills in no defaults and
validates nothing."""

from __future__ import annotations

import copy
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from edgeramp.effects import ownership
from edgeramp.effects.cluster import Labels, Object
from edgeramp.effects.kinds import Kind, Ref, ref
from edgeramp.effects.records import Records
from edgeramp.values.errors import ClusterError, Conflict
from edgeramp.values.names import FIELD_MANAGER
from edgeramp.values.quantities import timestamp

_SYSTEM = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields")
_WITHOUT_GENERATION = {"Node", "Secret", "ConfigMap", "Lease", "Event", "Service", "Namespace"}
_UPDATE = "update"
Listener = Callable[[str, Object], None]
"""Called with ADDED, MODIFIED or DELETED and the object, after each change."""


class MemoryCluster(Records):
    """See Cluster. Safe to use from several threads. `subscribe` plays the watch."""

    def __init__(self, namespace: str = "edgeramp-system", clock: Callable[[], float] = time.time) -> None:
        super().__init__(namespace, clock)
        self._objects: dict[Ref, Object] = {}
        self._owned: dict[Ref, dict[str, ownership.Paths]] = {}
        self._versions = itertools.count(1)
        self._lock = threading.RLock()
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        """Tell `listener` of every change from now on."""
        self._listeners.append(listener)

    def put(self, manifest: Mapping[str, Any]) -> Object:
        """For tests that play another component: create or overwrite an object, status included."""
        with self._lock:
            where = ref(manifest)
            status = manifest.get("status")
            if where in self._objects:
                self._write(
                    where, {**_body(manifest), "metadata": _merged_meta(self._objects[where], manifest)}
                )
            else:
                self._add(where, manifest)
            if status is not None:
                self._write(where, {**self._objects[where], "status": copy.deepcopy(status)})
            return copy.deepcopy(self._objects[where])

    def get(self, ref: Ref) -> Object | None:
        with self._lock:
            return copy.deepcopy(self._objects.get(ref))

    def list(
        self, kind: Kind, namespace: str | None = None, labels: Labels | None = None
    ) -> tuple[Object, ...]:
        with self._lock:
            found = [
                (where.namespace, where.name, obj)
                for where, obj in self._objects.items()
                if where.of == kind and namespace in (None, where.namespace) and _matches(obj, labels or {})
            ]
            return tuple(copy.deepcopy(obj) for _, _, obj in sorted(found, key=lambda f: f[:2]))

    def apply(self, manifest: Mapping[str, Any]) -> Object:
        with self._lock:
            where = ref(manifest)
            intent = {
                key: value for key, value in manifest.items() if key not in ("apiVersion", "kind", "status")
            }
            now = ownership.paths(intent)
            if where not in self._objects:
                self._add(where, manifest)
            else:
                owned = self._owned[where]
                others = frozenset(
                    itertools.chain.from_iterable(p for m, p in owned.items() if m != FIELD_MANAGER)
                )
                dropped = owned.get(FIELD_MANAGER, frozenset()) - now - others
                self._write(where, ownership.applied(self._objects[where], intent, dropped))
            self._owned[where][FIELD_MANAGER] = now
            return copy.deepcopy(self._objects.get(where, dict(manifest)))

    def create(self, manifest: Mapping[str, Any]) -> bool:
        with self._lock:
            where = ref(manifest)
            if where in self._objects:
                return False
            self._add(where, manifest)
            self._owned[where][_UPDATE] = ownership.paths(_body(manifest))
            return True

    def delete(self, ref: Ref, uid: str | None = None) -> None:
        with self._lock:
            obj = self._objects.get(ref)
            if obj is None or (uid and obj["metadata"]["uid"] != uid):
                return
            if not obj["metadata"].get("finalizers"):
                self._remove(ref)
            elif "deletionTimestamp" not in obj["metadata"]:
                gone = copy.deepcopy(obj)
                gone["metadata"]["deletionTimestamp"] = timestamp(self._clock())
                self._store(ref, gone, generation=obj["metadata"].get("generation", 0) + 1)

    def patch(self, ref: Ref, body: Mapping[str, Any]) -> Object | None:
        with self._lock:
            if ref not in self._objects:
                return None
            current = self._objects[ref]
            self._check(ref, (body.get("metadata") or {}).get("resourceVersion"))
            wanted = {key: value for key, value in body.items() if key != "status"}
            merged: Object = ownership.merge_patched(current, wanted)
            self._update(ref, merged)
            return copy.deepcopy(self._objects.get(ref, merged))

    def replace(self, manifest: Mapping[str, Any]) -> Object:
        with self._lock:
            where = ref(manifest)
            self._check(where, manifest["metadata"].get("resourceVersion"))
            self._update(where, {**_body(manifest), "metadata": _merged_meta(self._objects[where], manifest)})
            return copy.deepcopy(self._objects.get(where, dict(manifest)))

    def replace_status(self, ref: Ref, resource_version: str, status: Mapping[str, Any]) -> Object:
        with self._lock:
            self._check(ref, resource_version)
            changed = {**self._objects[ref], "status": copy.deepcopy(dict(status))}
            self._store(ref, changed, generation=None)
            return copy.deepcopy(self._objects[ref])

    def _check(self, where: Ref, version: str | None) -> None:
        current = self._objects.get(where)
        if current is None:
            raise Conflict(f"{where} is gone")
        if version and version != current["metadata"]["resourceVersion"]:
            raise Conflict(f"{where} has been changed since resourceVersion {version}")

    def _add(self, where: Ref, manifest: Mapping[str, Any]) -> None:
        if manifest["metadata"].get("resourceVersion"):
            raise ClusterError(f"{where}: resourceVersion should not be set on objects to be created")
        obj = {"apiVersion": where.api_version, "kind": where.kind, **copy.deepcopy(_body(manifest))}
        obj.pop("status", None)
        moment = timestamp(self._clock())
        obj["metadata"] = {**obj["metadata"], "uid": str(uuid.uuid4()), "creationTimestamp": moment}
        self._owned[where] = {}
        self._store(where, obj, generation=None if where.kind in _WITHOUT_GENERATION else 1, event="ADDED")

    def _update(self, where: Ref, wanted: Mapping[str, Any]) -> None:
        """A write that is not an apply: whoever changes a field owns it from then on, alone."""
        changed = ownership.changed(self._objects[where], wanted)
        owned = self._owned[where]
        for manager in owned:
            owned[manager] -= changed
        owned[_UPDATE] = owned.get(_UPDATE, frozenset()) | changed
        self._write(where, wanted)

    def _write(self, where: Ref, wanted: Mapping[str, Any]) -> None:
        """Store `wanted` if it differs; count the generation when something besides metadata and status does."""
        before = self._objects[where]
        new = copy.deepcopy(dict(wanted))
        new["metadata"] |= {key: before["metadata"][key] for key in _SYSTEM if key in before["metadata"]}
        if "status" in before and "status" not in new:
            new["status"] = before["status"]
        if new == before:
            return
        generation = before["metadata"].get("generation")
        if generation is not None and _intent(new) != _intent(before):
            generation += 1
        self._store(where, new, generation)
        meta = new["metadata"]
        if "deletionTimestamp" in meta and not meta.get("finalizers"):
            self._remove(where)

    def _store(self, where: Ref, obj: Object, generation: int | None, event: str = "MODIFIED") -> None:
        if obj == self._objects.get(where):
            return
        obj["metadata"]["resourceVersion"] = str(next(self._versions))
        if generation is not None:
            obj["metadata"]["generation"] = generation
        self._objects[where] = obj
        self._tell(event, obj)

    def _remove(self, where: Ref) -> None:
        obj = self._objects.pop(where)
        self._owned.pop(where, None)
        self._tell("DELETED", obj)
        uid = obj["metadata"]["uid"]
        for other, dependent in list(self._objects.items()):
            owners = dependent["metadata"].get("ownerReferences") or []
            if owners and all(o["uid"] == uid or not self._alive(o["uid"]) for o in owners):
                self.delete(other)

    def _alive(self, uid: str) -> bool:
        return any(obj["metadata"]["uid"] == uid for obj in self._objects.values())

    def _tell(self, event: str, obj: Object) -> None:
        for listener in self._listeners:
            listener(event, copy.deepcopy(obj))


def _body(manifest: Mapping[str, Any]) -> Object:
    return {key: value for key, value in manifest.items() if key != "status"}


def _intent(obj: Mapping[str, Any]) -> Object:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def _merged_meta(current: Mapping[str, Any], manifest: Mapping[str, Any]) -> Object:
    system = {key: value for key, value in current["metadata"].items() if key in _SYSTEM}
    return {**manifest["metadata"], **system}


def _matches(obj: Mapping[str, Any], labels: Labels) -> bool:
    have = obj["metadata"].get("labels") or {}
    for key, want in labels.items():
        if key not in have or (isinstance(want, str) and have[key] != want):
            return False
        if isinstance(want, tuple) and have[key] not in want:
            return False
    return True
