"""Whatever people, pods, gateways and operators do: the invariants of the ramp hold after every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.support.world import Behaviour, World, spec_of

from edgeramp.api.rollout import RolloutSpec
from edgeramp.decide.decision import Apply, Decision
from edgeramp.decide.rollout import plan_rollout, revision_of
from edgeramp.decide.seen import RolloutSeen
from edgeramp.render.route import Split, chosen_of, mirror_of, services_of, split_of, weight_of
from edgeramp.values.errors import Conflict
from edgeramp.values.names import GROUP

MINE = "digits-box"
ARTIFACTS = st.sampled_from("ABCD")
BEHAVIOURS = st.sampled_from(
    [
        Behaviour(), Behaviour(errors=0.3), Behaviour(latency=0.05), Behaviour(ready_after=None),
        Behaviour(crash_after=25), Behaviour(ready_after=40), Behaviour(crash_after=70),
    ]
)  # fmt: skip
STEPS = st.lists(
    st.one_of(
        st.builds(lambda w: {"setWeight": w}, st.sampled_from([0, 5, 25, 50, 100])),
        st.sampled_from([{"pause": {}}, {"pause": {"duration": "20s"}}]),
        st.sampled_from(
            [{"setCandidateScale": {"replicas": 2}}, {"setCandidateScale": {"matchTrafficWeight": True}}]
        ),
        st.sampled_from([{"setMirror": 0}, {"setMirror": 30}]),
        st.sampled_from(
            [
                {"setHeaderRoute": {"match": [{"headerName": "X-Cohort", "headerValue": {"exact": value}}]}}
                for value in ("beta", "gamma")
            ]
            + [{"setHeaderRoute": {"match": []}}]
        ),
    ),
    max_size=6,
)
SWAPS = st.fixed_dictionaries(
    {},
    optional={
        "previewHostnames": st.just(["preview.digits.example"]),
        "previewReplicaCount": st.integers(1, 2),
        "mirror": st.sampled_from([0, 30]),
        "autoPromotionSeconds": st.sampled_from([0, 20]),
        "scaleDownDelaySeconds": st.sampled_from([10, 90]),
    },
)
STRATEGIES = st.one_of(
    st.builds(lambda steps, dynamic: {"steps": steps, "dynamicStableScale": dynamic}, STEPS, st.booleans()),
    SWAPS.map(lambda swap: {"blueGreen": swap}),
)
VERBS = st.sampled_from(["promote", "promote-full", "abort", "retry"])
QUICK = {
    "falsePromotion": "0.2", "errors": {"userBudget": "0.02"}, "latency": {"promoteSlower": "0.7"}, "stepMinimum": "10s",
}  # fmt: skip


class Watched(World):
    """Looks at every decision as it is carried out."""

    def apply(self, seen: RolloutSeen, decision: Decision) -> None:
        before = seen.rollout["metadata"]["resourceVersion"] == self.rollout["metadata"]["resourceVersion"]
        if before:
            self._never_up_without_reason(seen, decision)
            self._enough_of_stable(seen, decision)
        super().apply(seen, decision)

    def _never_up_without_reason(self, seen: RolloutSeen, decision: Decision) -> None:
        status = decision.status.wire()
        routes = [
            a.manifest
            for a in decision.actions
            if isinstance(a, Apply)
            and a.manifest["kind"] == "HTTPRoute"
            and a.manifest["metadata"]["name"] == MINE
        ]
        ramp, stable = status.get("ramp"), status.get("stable")
        if not routes or not ramp:
            return
        self._beside_the_split(seen, routes[-1], ramp)
        self._in_one_write(seen, split_of(routes[-1]))
        mine = f"digits-box-{ramp['revision']}"
        old = weight_of(split_of(seen.route), mine) if seen.route else 0
        new = weight_of(split_of(routes[-1]), mine)
        if ramp.get("abortedAt") is not None:
            assert new == 0, "after a failure the next weight is 0"
            return
        if new <= old:
            return
        assert self.answers(ramp["revision"]), "up only when the candidate is ready"
        free = not stable or ramp.get("skipSteps") or ramp.get("promotedFull") or old == 0
        assert free or status.get("verdict") == "Pass" or self._asked(seen, new), "never up without Pass"
        assert new <= max(ramp.get("granted", 0), 100 if free else 0), "never above what was granted"

    def _beside_the_split(self, seen: RolloutSeen, route: Mapping[str, Any], ramp: dict[str, Any]) -> None:
        """Requests chosen by a header, and copies: more only for a ready candidate of a running ramp."""
        chosen, mirror = chosen_of(route), mirror_of(route)
        if chosen and chosen.headers and chosen != chosen_of(seen.route or {}):
            assert ramp.get("abortedAt") is None and chosen.service == f"digits-box-{ramp['revision']}"
            assert self.answers(ramp["revision"]), "requests are chosen for a candidate that is ready"
            assert chosen_of(seen.route or {}) is not None, "a place is there before requests are sent to it"
        if mirror and mirror != mirror_of(seen.route or {}):
            assert ramp.get("abortedAt") is None and mirror.service == f"digits-box-{ramp['revision']}"
        if chosen is None:
            before = chosen_of(seen.route or {})
            assert before is None or not before.headers, "a place is left before it goes"

    def _enough_of_stable(self, seen: RolloutSeen, decision: Decision) -> None:
        """Stable is never asked to have fewer replicas than its share of the requests takes, before and after."""
        status, asked = decision.status.wire(), seen.rollout["spec"]["replicas"]
        stable, ramp = status.get("stable"), status.get("ramp")
        if not stable or seen.route is None:
            return
        wanted = [
            a.manifest
            for a in decision.actions
            if isinstance(a, Apply) and a.manifest["kind"] == "Deployment"
        ]
        mine = [d for d in wanted if d["metadata"]["name"] == f"{MINE}-{stable['revision']}"]
        running = ramp is not None and ramp.get("abortedAt") is None
        share = (
            100 - weight_of(split_of(seen.route), f"{MINE}-{ramp['revision']}") if ramp and running else 100
        )
        for deployment in mine:
            assert deployment["spec"]["replicas"] * 100 >= asked * share, "enough replicas for its requests"

    def _in_one_write(self, seen: RolloutSeen, new: Split) -> None:
        """Blue-green never shares requests out; what a ramp has shared out before may be written once more."""
        if "blueGreen" in seen.rollout["spec"]["strategy"]:
            shared = len({b.service for b in new}) > 1
            assert not shared or new == split_of(seen.route or {}), "all requests or none"

    def _asked(self, seen: RolloutSeen, new: int) -> bool:
        """A person promoted, or the weight was granted before and only comes back."""
        before = (seen.rollout.get("status") or {}).get("ramp") or {}
        annotations = seen.rollout["metadata"].get("annotations") or {}
        return f"{GROUP}/promote" in annotations or new <= before.get("granted", 0)


class RolloutMachine(RuleBasedStateMachine):
    @initialize(
        strategy=STRATEGIES, kinds=st.lists(BEHAVIOURS, min_size=3, max_size=3), replicas=st.integers(1, 3)
    )
    def begin(self, strategy: dict[str, Any], kinds: list[Behaviour], replicas: int) -> None:
        behaviours = dict(zip("BCD", kinds, strict=True))
        asked = spec_of("A", strategy={**strategy, "analysis": QUICK}, replicas=replicas)
        self.world = Watched(asked, behaviours, rps=30)
        self.world.run(30)

    @rule(name=ARTIFACTS)
    def ask_for(self, name: str) -> None:
        self.world.set_artifact(name)

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.world.edit(paused=paused)

    @rule(replicas=st.integers(0, 4))
    def scale(self, replicas: int) -> None:
        self.world.edit(replicas=replicas)

    @rule(strategy=STRATEGIES)
    def edit_strategy(self, strategy: dict[str, Any]) -> None:
        self.world.edit(strategy={**strategy, "analysis": QUICK})

    @rule(verb=VERBS)
    @precondition(lambda self: self.world.status.get("ramp"))
    def ask(self, verb: str) -> None:
        self.world.annotate(verb)

    @rule(name=ARTIFACTS)
    def roll_back(self, name: str) -> None:
        """To what may never have served, too."""
        known = name in self.world.names.values()
        self.world.annotate("rollback", self.world.revision(name) if known else "0123456789")

    @rule(verb=VERBS, value=st.sampled_from(["", "x", "x/y", "abc/1", "0123456789/99"]))
    def ask_nonsense(self, verb: str, value: str) -> None:
        self.world.annotate(verb, value)

    @rule(seconds=st.sampled_from([1, 5, 15, 40, 130]))
    def time_passes(self, seconds: int) -> None:
        self.world.run(seconds)

    @rule(up=st.booleans())
    def gateway(self, up: bool) -> None:
        self.world.gateway = {"metadata": {"name": "edge"}} if up else None

    @rule(up=st.booleans())
    def metrics(self, up: bool) -> None:
        self.world.metrics_up = up

    @rule(weights=st.sampled_from([(1, 1), (0, 100), (100, 0), (10, 90), (0, 0)]))
    @precondition(lambda self: self.world.route is not None)
    def somebody_writes_weights(self, weights: tuple[int, int]) -> None:
        route = self.world.route
        assert route is not None
        for ref, weight in zip(route["spec"]["rules"][0]["backendRefs"], weights, strict=False):
            ref["weight"] = weight
        self.world._touch(route)

    @rule()
    @precondition(lambda self: self.world.route is not None)
    def somebody_deletes_the_route(self) -> None:
        del self.world.objects["HTTPRoute", "digits-box"]

    @rule(cut=st.integers(0, 3))
    def the_operator_dies_in_between(self, cut: int) -> None:
        self.world.apply_partly(self.world.observe(), cut)

    @rule(seconds=st.sampled_from([1, 20]))
    def a_second_worker_interferes(self, seconds: int) -> None:
        """It has seen the world earlier, and acts late."""
        seen = self.world.observe()
        late = plan_rollout(seen)
        self.world.run(seconds)
        try:
            self.world.apply(seen, late)
        except Conflict:
            return

    @invariant()
    def it_settles_and_is_coherent(self) -> None:
        world = self.world
        world.settle()
        status, generation = world.status, world.rollout["metadata"]["generation"]
        kinds = [c["type"] for c in status["conditions"]]
        assert len(kinds) == len(set(kinds)) and kinds == sorted(kinds)
        assert {c["observedGeneration"] for c in status["conditions"]} == {generation}
        ready = world.condition("Ready")
        assert (status["phase"] == "Healthy") == (ready is not None and ready[0] == "True")
        assert ("ramp" in status) == ("candidate" in status)
        assert status["message"] and not world.rollout["metadata"].get("annotations")
        if status["phase"] == "Healthy" and world.rollout["spec"]["replicas"]:
            assert world.weight(world.name(status["stable"]["revision"])) == 100
        pin = status.get("pinned")
        if pin is not None:
            assert pin["insteadOf"] == revision_of(RolloutSpec.model_validate(world.rollout["spec"])).revision
            assert (
                ready is None
                or ready[0] == "False"
                or status["stable"]["revision"] == pin["served"]["revision"]
            )
        if (status.get("ramp") or {}).get("abortedAt") is not None:
            still = chosen_of(world.route or {})
            left = world.weight_now() == 0 and not (still and still.headers)
            assert left or not world.answers(status["stable"]["revision"])
            assert world.preview is None, "nobody looks at what was given up"
            assert mirror_of(world.route or {}) is None or not world.answers(status["stable"]["revision"])

    @invariant()
    def no_backend_dangles(self) -> None:
        routes = [r for r in (self.world.route, self.world.preview) if r is not None]
        for service in {s for route in routes for s in services_of(route)}:
            assert ("Service", service) in self.world.objects
            assert ("Deployment", service) in self.world.objects


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
TestRollout = RolloutMachine.TestCase
TestRollout.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=QUIET
)


@pytest.mark.long
class TestRolloutForLong(RolloutMachine.TestCase):
    """The same search, ten times as long."""

    settings = settings(max_examples=400, stateful_step_count=40, deadline=None, suppress_health_check=QUIET)
