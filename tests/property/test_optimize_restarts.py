"""An operator that is killed at any moment comes to the same end: what it knows is in status and in the world."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.optimize.bench import DIGITS, MAGIKA, Bench, Figures
from tests.unit.optimize.models import ROUTE, TARGET, edgemodel, model_status
from tests.unit.optimize.world import AVX2, VNNI, World, failed, node

from edgeramp.api.edgemodel import EdgeModel
from edgeramp.api.optimizationrun import OptimizationRun
from edgeramp.values.names import LABEL_RUN

TARGETS: list[dict[str, Any]] = [TARGET, {"name": "plain", "nodeSelector": {AVX2: "true"}}]
CASES: dict[str, Bench] = {
    "everything passes": Bench(DIGITS),
    "no candidate": Bench(MAGIKA),
    "second certification": Bench(
        {**DIGITS, "ov-ptq-int8": Figures(0.33, 0.9985, unseen=0.9, bytes=280_000)}
    ),
    "out of memory": Bench(endings={("prepare", "ov-ptq-int8"): [(137, None, "OOMKilled"), None]}),
    "transient": Bench(endings={("measure", "ort-static-int8"): [failed(20, "SourceUnavailable"), None]}),
    "disturbed": Bench({**DIGITS, "ov-ptq-int8": Figures(0.33, 0.9985, bytes=280_000, valid=False)}),
}


def new_world(case: str) -> World:
    bench = CASES[case]
    script = Bench(bench.figures, dict(bench.endings))
    made = World(script, nodes=[node("n1", {VNNI: "true"}, host="m"), node("n2", {AVX2: "true"}, host="m")])
    rollout = {"route": ROUTE, "start": "Baseline"}
    made.objects["EdgeModel", "digits"] = edgemodel(targets=TARGETS, rollout=rollout)
    return made


def outcome(made: World) -> dict[str, Any]:
    """All that must not depend on when the operator was killed. Job names and times may differ."""
    ends: dict[str, Any] = {}
    for raw in made.of("OptimizationRun"):
        run = OptimizationRun.model_validate(raw)
        status = run.status
        ends[run.spec.target.name] = {
            "phase": status.phase,
            "best": status.best_f32,
            "rows": [(r.id, r.state, r.verdict, r.reason, r.score) for r in status.candidates],
            "certified": [(t.candidate, t.alpha, t.verdict) for t in status.certification],
            "winner": status.winner and (status.winner.candidate, status.winner.packaged),
            "baseline": status.baseline_package,
        }
    rollouts = {r["metadata"]["name"]: r["spec"]["artifact"] for r in made.of("Rollout")}
    model = EdgeModel.model_validate({**made.get("EdgeModel", "digits"), "status": model_status(made)})
    lines = [(t.name, t.phase, t.artifact, t.speedup) for t in model.status.targets]
    return {"runs": ends, "rollouts": rollouts, "targets": lines}


def check(made: World) -> None:
    """What must hold at every moment."""
    running = [j for j in made.running() if LABEL_RUN in j["metadata"]["labels"]]
    assert len({j["metadata"]["labels"][LABEL_RUN] for j in running}) <= 1, (
        "one run at a time on a shared machine"
    )
    roles = [j["metadata"]["labels"]["edgeramp.dev/role"] for j in running]
    assert "measure" not in roles or len(roles) == 1, "a measuring Job is alone"
    for rollout in made.of("Rollout"):
        runs = [OptimizationRun.model_validate(r) for r in made.of("OptimizationRun")]
        packages = [
            w.packaged for r in runs for w in (r.status.winner, r.status.baseline) if w and w.packaged
        ]
        assert rollout["spec"]["artifact"] in {p.reference for p in packages}


def disturbed(made: World, dice: random.Random, steps: int = 4000) -> None:
    """Looks that end half way, Jobs that end one by one and are cleared away, in an order thrown by dice."""
    quiet = 0
    for _ in range(steps):
        kind, name = dice.choice(made.objects_to_plan())
        decision = made.decide(kind, name)
        whole = dice.random() < 0.7
        reach = None if whole else dice.randint(0, len(decision.actions))
        changed = dice.random() < 0.9 and made.carry_out(kind, name, decision, reach)
        check(made)
        running = made.running()
        if running and dice.random() < 0.3:
            made.now += dice.random() * 5
            made.finish(dice.choice(running))
            changed = True
        if dice.random() < 0.1:
            clear_one(made, dice)
        if not running and not changed:
            made.now += 1.0
        quiet = 0 if changed or running else quiet + 1
        if quiet > 200:
            return
    raise AssertionError("the world does not settle")


def clear_one(made: World, dice: random.Random) -> None:
    """The TTL controller takes a Job that has ended, whether or not its result was read."""
    done = [j["metadata"]["name"] for j in made.of("Job") if j["status"].get("conditions")]
    if done:
        del made.objects["Job", dice.choice(done)]


_EXPECTED: dict[str, dict[str, Any]] = {}


def expected(case: str) -> dict[str, Any]:
    if case not in _EXPECTED:
        made = new_world(case)
        made.until_idle()
        _EXPECTED[case] = outcome(made)
    return _EXPECTED[case]


def play(case: str, seed: int) -> None:
    made = new_world(case)
    disturbed(made, random.Random(seed))
    assert outcome(made) == expected(case)
    assert not made.leases


@pytest.mark.parametrize("case", ["everything passes", "second certification", "transient"])
def test_a_killed_operator_comes_to_the_same_end(case: str) -> None:
    play(case, seed=7)


@pytest.mark.long
@given(st.sampled_from(list(CASES)), st.integers(0, 2**32))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_killed_operator_comes_to_the_same_end_whenever_it_dies(case: str, seed: int) -> None:
    play(case, seed)


def edited(final: dict[str, Any], at: int, seed: int) -> World:
    """A world whose user applies `final` after `at` looks, with an operator that is killed now and then."""
    made = World(Bench(DIGITS), nodes=[node("n1", {VNNI: "true", AVX2: "true"})])
    made.objects["EdgeModel", "digits"] = edgemodel(rollout={"route": ROUTE})
    dice = random.Random(seed)
    for _ in range(at):
        made.look()
        if dice.random() < 0.5:
            made.finish_all()
    changed = edgemodel(**final)
    have = made.objects["EdgeModel", "digits"]
    meta = {**have["metadata"], "generation": 2}
    made.objects["EdgeModel", "digits"] = {**have, "metadata": meta, "spec": changed["spec"]}
    disturbed(made, dice)
    return made


@pytest.mark.parametrize("at", [0, 1, 3, 7, 12, 18, 30])
def test_an_edit_at_any_moment_ends_like_the_final_spec_alone(at: int) -> None:
    final = {"rollout": {"route": ROUTE}, "gates": {"speedup": "1.5"}, "targets": TARGETS}
    alone = edited(final, 0, seed=1)
    after = edited(final, at, seed=at)
    assert outcome(after)["targets"] == outcome(alone)["targets"]
    assert outcome(after)["rollouts"] == outcome(alone)["rollouts"]
    wanted = {t["run"] for t in model_status(after)["targets"]}
    assert wanted <= {r["metadata"]["name"] for r in after.of("OptimizationRun")}
    assert not after.leases
