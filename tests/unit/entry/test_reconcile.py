"""One look: what follows from each way to fail, and what is told."""

from __future__ import annotations

import pytest
from tests.support.objects import configmap, rollout

from edgeramp.api import RolloutStatus
from edgeramp.decide.decision import Create, Decision, DropLease, Event
from edgeramp.decide.seen import RolloutSeen
from edgeramp.effects.kinds import CONFIGMAP, EVENT, ROLLOUT, Ref
from edgeramp.effects.memory import MemoryCluster
from edgeramp.effects.observe import Observed
from edgeramp.entry.queue import Key, Next
from edgeramp.entry.reconcile import Plan, Reconciler
from edgeramp.entry.telemetry import Telemetry
from edgeramp.values.errors import Conflict, Forbidden, InvariantBroken, SpecError, Unavailable

KEY = Key("Rollout", "default", "r")


class Eyes:
    """Sees the Rollout as it is; `before` is done between looking and acting."""

    def __init__(self, cluster: MemoryCluster, again: float | None = None) -> None:
        self.cluster, self.again = cluster, again

    def observe(self, kind: str, namespace: str, name: str) -> Observed | None:
        obj = self.cluster.get(Ref(*ROLLOUT, namespace, name))
        return Observed(obj, RolloutSeen(now=0.0, rollout=obj), self.again) if obj else None


def _made(plan: Plan, again: float | None = None) -> tuple[MemoryCluster, Reconciler, Telemetry]:
    cluster, telemetry = MemoryCluster(), Telemetry()
    cluster.create(rollout("r"))
    return cluster, Reconciler(cluster, Eyes(cluster, again), {"Rollout": plan}, telemetry), telemetry


def _value(telemetry: Telemetry, metric: str, /, **labels: str) -> float:
    return telemetry.registry.get_sample_value(metric, labels) or 0.0


def test_the_status_is_written_then_the_actions_and_events() -> None:
    decision = Decision(
        RolloutStatus(phase="Healthy"),
        actions=(Create(configmap("c", "default", {})),),
        events=(Event("Normal", "Promoted", "to 100 %"),),
        requeue_after=5.0,
    )
    cluster, reconciler, telemetry = _made(lambda _: decision)
    first, second = reconciler.look(KEY), reconciler.look(KEY)
    assert first.after == pytest.approx(5.0, abs=0.5)
    assert second.after is not None
    assert cluster.get(Ref(*ROLLOUT, "default", "r"))["status"]["phase"] == "Healthy"
    assert cluster.get(Ref(*CONFIGMAP, "default", "c")) is not None
    assert [e["reason"] for e in cluster.list(EVENT)] == ["Promoted"]
    assert _value(telemetry, "edgeramp_actions_total", kind="Rollout", action="Create") == 2.0
    assert _value(telemetry, "edgeramp_events_total", kind="Rollout", reason="Promoted") == 2.0
    assert _value(telemetry, "edgeramp_rollout_phase", namespace="default", name="r", phase="Healthy") == 1.0
    cluster.delete(Ref(*ROLLOUT, "default", "r"))
    assert reconciler.look(KEY).gone
    assert _value(telemetry, "edgeramp_rollout_phase", namespace="default", name="r", phase="Healthy") == 0.0


def test_a_conflict_voids_the_decision_and_looks_again_at_once() -> None:
    clusters: list[MemoryCluster] = []

    def plan(_: RolloutSeen) -> Decision:
        clusters[0].patch(Ref(*ROLLOUT, "default", "r"), {"metadata": {"labels": {"a": "b"}}})
        return Decision(RolloutStatus(phase="Healthy"), actions=(Create(configmap("c", "default", {})),))

    cluster, reconciler, telemetry = _made(plan)
    clusters.append(cluster)
    assert reconciler.look(KEY) == Next(after=0.0)
    assert cluster.get(Ref(*CONFIGMAP, "default", "c")) is None
    assert _value(telemetry, "edgeramp_errors_total", kind="Rollout", error="Conflict") == 1.0


@pytest.mark.parametrize(
    ("error", "then"),
    [
        (Unavailable("away"), Next(failed=True)),
        (Forbidden("not allowed to list pods"), Next(failed=True)),
        (Conflict("changed"), Next(after=0.0)),
        (SpecError("spec.artifact", "write a digest"), Next(after=60.0)),
        (InvariantBroken("weights sum to 99"), Next(failed=True)),
        (KeyError("status"), Next(failed=True)),
    ],
)
def test_no_error_gets_out_of_a_look(error: Exception, then: Next) -> None:
    def plan(_: RolloutSeen) -> Decision:
        raise error

    _, reconciler, telemetry = _made(plan)
    assert reconciler.look(KEY) == then
    assert _value(telemetry, "edgeramp_errors_total", kind="Rollout", error=type(error).__name__) == 1.0


def test_a_bug_of_ours_is_told_on_the_object_once() -> None:
    def plan(_: RolloutSeen) -> Decision:
        raise InvariantBroken("weights sum to 99")

    cluster, reconciler, _ = _made(plan)
    reconciler.look(KEY)
    reconciler.look(KEY)
    (event,) = cluster.list(EVENT)
    assert (event["reason"], event["type"]) == ("InvariantBroken", "Warning")
    assert "series" not in event


def test_what_could_not_be_read_is_looked_at_again_before_the_plan_asks() -> None:
    _, reconciler, _ = _made(lambda _: Decision(RolloutStatus(), requeue_after=600.0), again=4.0)
    assert reconciler.look(KEY).after == pytest.approx(4.0, abs=0.5)


def test_something_gone_is_forgotten() -> None:
    cluster, reconciler, _ = _made(lambda _: Decision(RolloutStatus()))
    cluster.delete(Ref(*ROLLOUT, "default", "r"))
    assert reconciler.look(KEY) == Next(gone=True)


def test_a_dropped_lease_is_told() -> None:
    told: list[str] = []
    _, reconciler, _ = _made(
        lambda _: Decision(RolloutStatus(), actions=(DropLease("edgeramp-measure-a", "me"),))
    )
    reconciler.on_lease_dropped(lambda: told.append("free"))
    reconciler.look(KEY)
    assert told == ["free"]
