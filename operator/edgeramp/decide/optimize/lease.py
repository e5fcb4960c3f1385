"""The measurement Lease: whoever has it runs Jobs on that machine, and nobody else of us does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgeramp.decide.decision import Action, DropLease, TakeLease
from edgeramp.decide.seen import Object
from edgeramp.values.quantities import epoch

# An operator that dies is replaced well within; a run that was deleted blocks others no longer than this.
LEASE_SECONDS = 60


@dataclass(frozen=True)
class LeaseView:
    """Who holds a Lease now; empty when nobody does (or it ran out). `age`: seconds since it was renewed."""

    name: str
    holder: str
    age: float


def lease_view(leases: Iterable[Object], name: str, now: float) -> LeaseView:
    """The Lease of that name as of now."""
    found = next((lease for lease in leases if lease["metadata"]["name"] == name), None)
    spec = (found or {}).get("spec") or {}
    holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime")
    age = now - epoch(renewed) if renewed else 0.0
    if not holder or not renewed or age > float(spec.get("leaseDurationSeconds") or LEASE_SECONDS):
        return LeaseView(name, "", age)
    return LeaseView(name, holder, age)


def keep(view: LeaseView, holder: str) -> tuple[Action, ...]:
    """Take a free Lease; renew ours when a third of its time is over; leave another's alone."""
    if view.holder == holder and view.age < LEASE_SECONDS / 3:
        return ()
    if view.holder in ("", holder):
        return (TakeLease(view.name, holder, LEASE_SECONDS),)
    return ()


def drop_others(leases: Iterable[Object], holder: str, keep_name: str | None) -> tuple[Action, ...]:
    """Give back every Lease of ours but `keep_name`."""
    names = sorted(
        lease["metadata"]["name"]
        for lease in leases
        if (lease.get("spec") or {}).get("holderIdentity") == holder
        and lease["metadata"]["name"] != keep_name
    )
    return tuple(DropLease(name, holder) for name in names)
