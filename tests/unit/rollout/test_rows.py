"""Single decisions, as rows."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import Any

import pytest
from tests.support.world import Behaviour, World, healthy, spec_of

from edgeramp.api.rollout import RolloutStatus
from edgeramp.decide.rollout import plan_rollout
from edgeramp.decide.seen import RolloutSeen

PAUSES = {"steps": [{"setWeight": 10}, {"pause": {}}, {"setWeight": 20}], "analysis": {"enabled": False}}
WIDE = {"falsePromotion": "0.2", "errors": {"userBudget": "0.02"}, "latency": {"promoteSlower": "0.7"}}
QUICK = {"steps": [{"setWeight": 25}, {"setWeight": 50}], "analysis": WIDE}


def ramping(strategy: dict[str, Any] = PAUSES, **changes: Any) -> World:
    world = healthy(spec_of("A", strategy=strategy, **changes))
    world.set_artifact("B")
    return world.run(5)


def decided(seen: RolloutSeen) -> RolloutStatus:
    status = plan_rollout(seen).status
    assert isinstance(status, RolloutStatus)
    return status


@pytest.mark.parametrize(("verb", "value", "why"), [
    ("promote", "nonsense", "name the step"), ("promote", "0123456789/2", "the candidate is"),
    ("promote", "{B}", "name the step to leave: {B}/2"), ("promote", "{B}/x", "write <revision>/<step>"),
    ("promote", "{B}/7", "the ramp is at step 2 now"), ("retry", "{B}/2", "was not aborted"),
])  # fmt: skip
def test_an_order_that_makes_no_sense_is_refused_with_the_reason(verb: str, value: str, why: str) -> None:
    world = ramping()
    revision = world.revision("B")
    world.annotate(verb, value.replace("{B}", revision))
    world.run(2)
    record = world.status["verbs"][-1]
    expected = "the candidate is" if value == "nonsense" else why.replace("{B}", revision)
    assert not record["accepted"] and expected in record["message"]
    assert world.weight("B") == 10


def test_promote_while_paused_by_spec_is_refused() -> None:
    world = ramping()
    world.edit(paused=True)
    world.annotate("promote")
    world.run(5)
    assert "spec.paused is true" in world.status["verbs"][-1]["message"]


def test_the_first_revision_takes_no_orders() -> None:
    world = World(spec_of("A"), behaviours={"A": Behaviour(ready_after=None)})
    world.run(5)
    world.annotate("abort")
    world.run(5)
    assert "this is the first revision" in world.status["verbs"][-1]["message"]


def test_the_only_replica_restarting_between_two_looks_is_a_loss() -> None:
    world = ramping()
    next(p for p in world.pods if p.revision == world.revision("B")).restarts += 1
    world.run(2)
    assert "the only replica" in world.status["message"] and world.weight("B") == 0


def test_scaled_to_zero_holds_the_ramp_and_counts_no_deadline() -> None:
    world = healthy(spec_of("A", strategy=PAUSES, replicas=0, progressDeadlineSeconds=60) | {"replicas": 1})
    world.edit(replicas=0)
    world.set_artifact("B")
    world.run(300)
    assert world.condition("Progressing") == ("True", "ScaledToZero")
    world.edit(replicas=1)
    world.run(10)
    assert world.weight("B") == 10


def test_a_stable_revision_without_a_ready_replica_says_so() -> None:
    world = healthy(spec_of("A"), behaviours={"A": Behaviour(crash_after=100)})
    world.run(44)
    assert (world.phase, world.condition("Ready")) == ("Degraded", ("False", "StableUnavailable"))
    world.run(30)
    assert world.phase == "Healthy"


WAITING = {"name": "fetch", "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}}
UNSCHEDULED = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}


@pytest.mark.parametrize(("status", "says"), [
    ({"initContainerStatuses": [WAITING | {"lastState": {"terminated": {"message": "DigestMismatch"}}}]},
     "CrashLoopBackOff in container fetch of pod p: DigestMismatch"),
    ({"containerStatuses": [{"name": "server", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}, "ImagePullBackOff"),
    ({"conditions": [UNSCHEDULED]}, "pod p has no node: 0/3 nodes are available"),
], ids=["digest", "image", "node"])  # fmt: skip
def test_why_a_candidate_does_not_start_is_in_the_message(status: dict[str, Any], says: str) -> None:
    world = healthy(spec_of("A", strategy=PAUSES), behaviours={"B": Behaviour(ready_after=None)})
    world.set_artifact("B")
    world.run(2)
    seen = world.observe()
    labels = {"edgeramp.dev/revision": world.revision("B")}
    pods = tuple(p for p in seen.pods if p["metadata"]["labels"] != labels)
    sick = {"metadata": {"name": "p", "labels": labels}, "status": status}
    assert says in decided(replace(seen, pods=(*pods, sick))).message


def test_without_gateway_counters_the_pods_own_counts_judge() -> None:
    world = healthy(spec_of("A", strategy=QUICK), behaviours={"B": Behaviour(errors=0.3)})
    world.proxies_up = False
    world.set_artifact("B")
    world.run(60)
    assert world.status["ramp"]["requestSource"] == "pods"
    assert (world.phase, world.condition("Stalled")) == ("Degraded", ("True", "ToleranceExceeded"))


def test_evidence_that_cannot_be_read_starts_anew_and_never_counts_as_proof() -> None:
    world = ramping(QUICK)
    world.run(25)
    seen = world.observe()
    rollout: dict[str, Any] = copy.deepcopy(dict(seen.rollout))
    rollout["status"]["ramp"]["evidence"] = '{"version": 0}'
    status = decided(replace(seen, rollout=rollout, scrape=None))
    assert (status.verdict, status.ramp and status.ramp.step) == ("AwaitingEvidence", 0)


def test_a_look_between_two_scrapes_counts_nothing() -> None:
    world = ramping(QUICK)
    world.run(12)
    before = world.status["ramp"]["evidence"]
    world.now += 0.2
    world.look()
    assert world.status["ramp"]["evidence"] == before


def test_stables_history_seeds_the_evidence() -> None:
    world = healthy(spec_of("A", strategy=QUICK))
    world.set_artifact("B")
    world.run(3)
    rows = tuple({"at": 0.0, "requests": 250, "errors": 1, "latency": ()} for _ in range(60))
    for fact in ("evidence", "lastScrapeAt"):
        del world.rollout["status"]["ramp"][fact]
    seen = world.observe()
    plain, seeded = decided(seen), decided(replace(seen, history=rows))
    assert plain.ramp and seeded.ramp and plain.ramp.evidence != seeded.ramp.evidence


def test_edited_steps_go_to_the_last_one_that_was_earned() -> None:
    world = ramping()
    world.edit(
        strategy={
            "steps": [{"setWeight": 5}, {"setWeight": 10}, {"pause": {}}],
            "analysis": {"enabled": False},
        }
    )
    world.run(5)
    assert (world.weight("B"), world.status["step"]) == (10, "3/4")


def test_a_weight_that_is_on_its_way_is_looked_at_again_without_a_watch() -> None:
    world = ramping()
    world.annotate("promote")
    assert (plan_rollout(world.observe()).requeue_after or 99) <= 5


def test_status_says_beforehand_what_will_be_found_and_when() -> None:
    world = healthy(spec_of("A"), behaviours={"B": Behaviour(ready_after=20)}, rps=10.0)
    world.set_artifact("B")
    world.run(5)
    assert world.weight("B") == 0
    plan = world.status["plan"]
    assert plan.startswith("At 5 % of 10 requests/s an outage is seen in about 10s")
    assert re.search(r"By step: 5 % 2\dm\d\ds, ", plan) and "write setMirror: 100 and a pause first" in plan


def test_the_plan_ends_with_its_ramp() -> None:
    world = healthy(spec_of("A", strategy=QUICK))
    world.set_artifact("B")
    world.run(600)
    assert world.phase == "Healthy" and not world.status["plan"]


@pytest.mark.parametrize(("candidate", "analysis", "says"), [
    (Behaviour(), WIDE, r"^25 % to 50 %: candidate adds less than 4 pp errors, is not slower \(P 0\.\d\d, needs < 0\.7\), after"
                        r" [\d,]+ candidate requests in \d+s\.$"),
    (Behaviour(errors=0.3), WIDE, r"^Rolled back: candidate error rate is .* after [\d,]+ candidate requests in \d+s; tolerated"
                                  r" is 1\.1x .* at most 1 of [\d,]+ rollouts \(phi 1\.25 assumed, batch limit 1\)\.$"),
    (Behaviour(), {**WIDE, "errors": {"userBudget": "0.000001"}, "maxDuration": "60s", "onInconclusive": "Promote"},
     r"^Undecided at 25 % after 1m00s and [\d,]+ candidate requests at this weight: .* errors \(\d+ % of the evidence\)\.$"),
])  # fmt: skip
def test_every_order_of_a_weight_says_why_with_numbers(
    candidate: Behaviour, analysis: dict[str, Any], says: str
) -> None:
    world = healthy(spec_of("A", strategy=QUICK | {"analysis": analysis}), behaviours={"B": candidate})
    world.set_artifact("B")
    world.run(300)
    told = [
        re.sub(r"^Weight 25 % to 50 %, step 2/3\. ", "", order["message"])
        for order in world.status["weights"]
    ]
    assert any(re.match(says, note) for note in told), "\n".join(told)
    assert "WeightSet" in world.events
