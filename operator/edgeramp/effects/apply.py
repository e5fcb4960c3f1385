"""Carry out a Decision: status first, then the actions in their order, then the events. Every step can be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from edgeramp.decide.decision import Action, Apply, Create, Decision, Delete, DropLease, Patch, TakeLease
from edgeramp.effects.cluster import Cluster
from edgeramp.effects.kinds import Ref, ref


@dataclass(frozen=True)
class Outcome:
    """What was done, in words for the log: one per action that was carried out. `status` is the status as decided;
    `status_written` is false when it stood so already; `lease_dropped`: somebody may be waiting for a measurement host."""

    status: Mapping[str, Any]
    status_written: bool
    done: tuple[str, ...] = ()
    lease_dropped: bool = False


def carry_out(cluster: Cluster, seen: Mapping[str, Any], decision: Decision) -> Outcome:
    """Write the status decided on the object `seen`, then act.

    Raises Conflict when the object has changed since it was seen: nothing was done then, and the decision is void. Any
    other ClusterError leaves the rest undone, which the next look at the world finds."""
    status = decision.status.wire()
    written = _write_status(cluster, seen, status)
    done = tuple(_act(cluster, action) for action in decision.actions)
    for event in decision.events:
        cluster.event(seen, event)
    dropped = any(isinstance(action, DropLease) for action in decision.actions)
    return Outcome(status, written, done, dropped)


def _write_status(cluster: Cluster, seen: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    if status == seen.get("status"):
        return False
    cluster.replace_status(ref(seen), seen["metadata"]["resourceVersion"], status)
    return True


def _act(cluster: Cluster, action: Action) -> str:
    match action:
        case Apply(manifest):
            cluster.apply(manifest)
            return f"applied {ref(manifest)}"
        case Create(manifest):
            created = cluster.create(manifest)
            return f"created {ref(manifest)}" if created else f"kept {ref(manifest)}"
        case Delete(api_version, kind, namespace, name, uid):
            cluster.delete(Ref(api_version, kind, namespace, name), uid)
            return f"deleted {kind} {namespace}/{name}"
        case Patch(api_version, kind, namespace, name, body):
            found = cluster.patch(Ref(api_version, kind, namespace, name), body)
            return (
                f"patched {kind} {namespace}/{name}"
                if found
                else f"found no {kind} {namespace}/{name} to patch"
            )
        case TakeLease(name, holder, seconds):
            held = cluster.take_lease(name, holder, seconds)
            return f"took Lease {name}" if held else f"found Lease {name} held by another"
        case DropLease(name, holder):
            return (
                f"dropped Lease {name}"
                if cluster.drop_lease(name, holder)
                else f"had no Lease {name} to drop"
            )
        case _:
            assert_never(action)
