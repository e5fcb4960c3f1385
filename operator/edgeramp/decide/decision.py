"""What a plan returns: the new status, ordered actions, events, and when to look again. Nothing here does anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgeramp.api.common import ApiPart


@dataclass(frozen=True)
class Apply:
    """Server-side apply of a whole intent with our field manager; repeating it changes nothing."""

    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class Create:
    """Create once; an object of that name that exists already is left as it is (Jobs and ConfigMaps are immutable)."""

    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class Delete:
    """Delete if it is there; with `uid` only that very object."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str | None = None


@dataclass(frozen=True)
class Patch:
    """A JSON merge patch of an object's metadata (annotations, finalizers), guarded by its resourceVersion when given."""

    api_version: str
    kind: str
    namespace: str
    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class TakeLease:
    """Hold the measurement host for `holder`; somebody else's live Lease is left alone (seen at the next look)."""

    name: str
    holder: str
    seconds: int


@dataclass(frozen=True)
class DropLease:
    """Give the Lease back if `holder` has it."""

    name: str
    holder: str


Action = Apply | Create | Delete | Patch | TakeLease | DropLease


@dataclass(frozen=True)
class Event:
    """A Kubernetes Event about the object: few and telling. `action` is a verb in UpperCamelCase."""

    type: Literal["Normal", "Warning"]
    reason: str
    note: str
    action: str = "Reconcile"


@dataclass(frozen=True)
class Decision:
    """The status is written first (with the resourceVersion it was decided on: a conflict voids the whole decision),
    then the actions in their order, then the events. `requeue_after` in seconds; None waits for a watch to wake us."""

    status: ApiPart
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None
    why: tuple[str, ...] = field(default=())
