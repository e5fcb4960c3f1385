"""One look at one object: observe, plan, carry out. The only place with a broad `except`."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from edgeramp.decide.decision import Decision, Event
from edgeramp.effects.apply import Outcome, carry_out
from edgeramp.effects.cluster import Cluster
from edgeramp.effects.observe import Observed
from edgeramp.entry.queue import Key, Next
from edgeramp.entry.telemetry import Telemetry, log
from edgeramp.values.errors import ClusterError, Conflict, EdgerampError, InvariantBroken, SpecError

_LOG = logging.getLogger("edgeramp.reconcile")
Plan = Callable[[Any], Decision]

_PLANS = {
    "EdgeModel": ("edgeramp.decide.edgemodel", "plan_edgemodel"),
    "OptimizationRun": ("edgeramp.decide.optimize", "plan_run"),
    "Rollout": ("edgeramp.decide.rollout", "plan_rollout"),
}


def installed_plans() -> dict[str, Plan]:
    """The planners of the three kinds."""
    return {kind: getattr(importlib.import_module(module), name) for kind, (module, name) in _PLANS.items()}


class Observer(Protocol):
    """Reads the world once for one object."""

    def observe(self, kind: str, namespace: str, name: str) -> Observed | None:
        """The object and what its plan wants to see; None when the object is gone."""


class Reconciler:
    """`look` is what the work queue calls."""

    def __init__(
        self,
        cluster: Cluster,
        observer: Observer,
        plans: Mapping[str, Plan],
        telemetry: Telemetry,
    ) -> None:
        self._cluster, self._observer, self._plans = cluster, observer, plans
        self._telemetry = telemetry
        self._lease_dropped: Callable[[], None] = lambda: None
        self._broken: dict[Key, str] = {}

    def on_lease_dropped(self, call: Callable[[], None]) -> None:
        """Call this when a measurement host has become free; from the thread of a look."""
        self._lease_dropped = call

    def look(self, key: Key) -> Next:
        """Never raises: what goes wrong is logged, counted and backed off from."""
        try:
            after = self._look(key)
        except Conflict as conflict:
            self._count(key, "conflict", conflict)
            log(_LOG, logging.DEBUG, "decision was void", error=str(conflict), **_facts(key))
            return Next(after=0.0)
        except SpecError as wrong:
            self._count(key, "refused", wrong)
            log(_LOG, logging.WARNING, "spec was not understood", error=str(wrong), **_facts(key))
            return Next(after=60.0)
        except ClusterError as error:
            self._count(key, "error", error)
            log(_LOG, logging.WARNING, "cluster did not do as asked", error=str(error), **_facts(key))
            return Next(failed=True)
        except Exception as error:
            self._count(key, "error", error)
            self._report_bug(key, error)
            return Next(failed=True)
        self._broken.pop(key, None)
        return after

    def _look(self, key: Key) -> Next:
        began = time.monotonic()
        found = self._observer.observe(*key)
        observed = time.monotonic()
        self._time(key, "observe", observed - began)
        if found is None:
            log(_LOG, logging.INFO, "object was gone", **_facts(key))
            self._telemetry.looks.labels(key.kind, "gone").inc()
            self._telemetry.fleet.gone(*key)
            return Next(gone=True)
        decision = self._plans[key.kind](found.seen)
        planned = time.monotonic()
        self._time(key, "plan", planned - observed)
        outcome = carry_out(self._cluster, found.obj, decision)
        self._time(key, "apply", time.monotonic() - planned)
        self._told(key, decision, outcome, time.monotonic() - began)
        if outcome.lease_dropped:
            self._lease_dropped()
        wishes = [wish for wish in (decision.requeue_after, found.again) if wish is not None]
        # Wishes count from the moment that was looked at, so that a look each second is one each second.
        spent = time.monotonic() - observed
        return Next(after=max(min(wishes) - spent, 0.0) if wishes else None)

    def _told(self, key: Key, decision: Decision, outcome: Outcome, seconds: float) -> None:
        changed = outcome.status_written or outcome.done
        self._telemetry.looks.labels(key.kind, "changed" if changed else "settled").inc()
        for action in decision.actions:
            self._telemetry.actions.labels(key.kind, type(action).__name__).inc()
        facts = {"seconds": f"{seconds:.3f}", "next": decision.requeue_after, "why": "; ".join(decision.why)}
        for done in outcome.done:
            log(_LOG, logging.INFO, done, **_facts(key))
        self._telemetry.fleet.saw(*key, outcome.status)
        for event in decision.events:
            self._telemetry.events.labels(key.kind, event.reason).inc()
            log(_LOG, logging.INFO, event.note, reason=event.reason, **_facts(key))
        log(_LOG, logging.DEBUG, "looked", status_written=outcome.status_written, **facts, **_facts(key))

    def _report_bug(self, key: Key, error: Exception) -> None:
        """The trace once per kind of failure, and an Event on the object, so that a person sees why nothing happens."""
        said = f"{type(error).__name__}: {error}"[:500]
        known = self._broken.get(key) == said
        self._broken[key] = said
        log_error = _LOG.error if known else _LOG.exception
        log_error("look failed", extra={"facts": {"error": said, **_facts(key)}})
        if known or not isinstance(
            error, EdgerampError | ArithmeticError | LookupError | TypeError | ValueError
        ):
            return
        reason = "InvariantBroken" if isinstance(error, InvariantBroken) else "InternalError"
        try:
            found = self._observer.observe(*key)
            if found is not None:
                self._cluster.event(found.obj, Event("Warning", reason, f"Held: {said}", "Reconcile"))
        except Exception as second:  # the failure itself has been told; this was only about telling it
            log(_LOG, logging.WARNING, "could not record an event", error=str(second), **_facts(key))

    def _time(self, key: Key, part: str, seconds: float) -> None:
        self._telemetry.seconds.labels(key.kind, part).observe(seconds)

    def _count(self, key: Key, result: str, error: Exception) -> None:
        self._telemetry.looks.labels(key.kind, result).inc()
        self._telemetry.errors.labels(key.kind, type(error).__name__).inc()


def _facts(key: Key) -> dict[str, str]:
    return {"kind": key.kind, "namespace": key.namespace, "name": key.name}
