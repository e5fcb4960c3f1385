"""What the operator may do to a cluster. Two implementations agree on it: `live.py` on the Kubernetes API, `memory.py`
in this process (tests/contract runs one suite on both)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from edgeramp.decide.decision import Event
from edgeramp.effects.kinds import Kind, Ref

Object = dict[str, Any]
Labels = Mapping[str, str | tuple[str, ...] | None]
"""A label selector: a value (equal), a tuple (one of), None (the label exists). All of them must hold."""


class Cluster(Protocol):
    """Every call can be repeated without harm, and raises ClusterError kinds only: Conflict, Forbidden, Unavailable,
    or ClusterError itself for what the API server refuses as invalid."""

    def get(self, ref: Ref) -> Object | None:
        """The object as served; None when there is none (or its kind is not installed)."""

    def list(
        self, kind: Kind, namespace: str | None = None, labels: Labels | None = None
    ) -> tuple[Object, ...]:
        """All objects of a kind, of one namespace or of all, sorted by namespace and name. () for a kind that is not
        installed. Each carries apiVersion and kind."""

    def apply(self, manifest: Mapping[str, Any]) -> Object:
        """Server-side apply of the whole intent as field manager `edgeramp`, taking fields from others."""

    def create(self, manifest: Mapping[str, Any]) -> bool:
        """Create; an object of that name that exists is left as it is. True when it was created now."""

    def delete(self, ref: Ref, uid: str | None = None) -> None:
        """Delete in the background, only that very object when `uid` is given. Fine when it is gone."""

    def patch(self, ref: Ref, body: Mapping[str, Any]) -> Object | None:
        """JSON merge patch; Conflict when `body` has an outdated resourceVersion; None when the object is gone."""

    def replace(self, manifest: Mapping[str, Any]) -> Object:
        """Replace an object whole; Conflict when its resourceVersion is outdated or it is gone."""

    def replace_status(self, ref: Ref, resource_version: str, status: Mapping[str, Any]) -> Object:
        """Replace the status: what is not in `status` vanishes. Conflict when the object changed since
        `resource_version` or is gone. Returns the object as it is now."""

    def event(self, regarding: Mapping[str, Any], event: Event) -> None:
        """Record an Event about the object; the same event again counts up instead of making another."""

    def take_lease(self, name: str, holder: str, seconds: int) -> bool:
        """Hold or renew the Lease `name` of the operator's namespace; False when somebody else's is still alive."""

    def drop_lease(self, name: str, holder: str) -> bool:
        """Give the Lease back; False when `holder` did not have it."""
