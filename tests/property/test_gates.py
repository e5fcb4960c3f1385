"""What must hold for any figures at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgeramp.api.common import Gates, ObjectiveWeights
from edgeramp.decide import gates
from edgeramp.decide.frontier import Point, frontier, rank
from edgeramp.report import Consistency, Environment, Latency, MeasureSummary, Memory, Quality
from edgeramp.values.verdict import Verdict

share = st.floats(0.0, 2.0)
ratio = st.floats(0.01, 100.0)


@st.composite
def bounds(draw: st.DrawFn, values: st.SearchStrategy[float]) -> tuple[float, float, float]:
    low, value, high = sorted(draw(st.tuples(values, values, values)))
    return low, value, high


@st.composite
def measurements(draw: st.DrawFn) -> MeasureSummary:
    retention, speed, variation = draw(bounds(share)), draw(bounds(ratio)), draw(bounds(st.floats(0, 1)))
    margins = sorted(draw(st.tuples(st.floats(-1, 1), st.floats(-1, 1))))
    return MeasureSummary(
        quality=Quality(
            metric="accuracy", items=100, reference=0.9, candidate=0.9, retention=retention[1], lower=retention[0],
            margin_lower=margins[0], margin_upper=margins[1], confidence=0.95,
        ),
        latency=Latency(
            reference_p50=1.0, candidate_p50=1.0 / speed[1], speedup=speed[1], speedup_lower=speed[0],
            speedup_upper=speed[2], rounds=30, confidence=0.95, valid=draw(st.booleans()),
        ),
        consistency=Consistency(variation=variation[1], lower=variation[0], upper=variation[2]),
        memory=Memory(artifact=draw(st.integers(0, 10**9)), artifact_reference=draw(st.integers(0, 10**9))),
        environment=Environment(),
    )  # fmt: skip


@given(measurements())
def test_gates_are_total_and_never_pass_what_is_disturbed(seen: MeasureSummary) -> None:
    results = gates.judge(seen, Gates())
    assert [r.gate for r in results] == [
        "accuracyRetention",
        "speedup",
        "memoryReduction",
        "latencyVariation",
    ]
    assert all(r.verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE) for r in results[1:])
    assert (results[0].verdict is Verdict.ERROR) is gates.suspect(seen.quality)
    if not seen.latency.valid:
        assert gates.overall(results) is not Verdict.PASS


@given(measurements(), ratio, ratio)
def test_asking_for_less_speed_never_turns_a_pass_into_something_else(
    seen: MeasureSummary, one: float, other: float
) -> None:
    less, more = sorted((one, other))
    if gates.speedup(seen, more).verdict is Verdict.PASS:
        assert gates.speedup(seen, less).verdict is Verdict.PASS
    if gates.speedup(seen, less).verdict is Verdict.FAIL:
        assert gates.speedup(seen, more).verdict is Verdict.FAIL


@given(measurements())
def test_pass_of_all_gates_means_that_every_bound_is_on_the_right_side(seen: MeasureSummary) -> None:
    if gates.overall(gates.judge(seen, Gates())) is Verdict.PASS:
        assert seen.quality.margin_lower > 0
        assert seen.latency.valid and seen.latency.speedup_lower >= 2.0
        assert seen.memory.artifact <= 0.5 * seen.memory.artifact_reference
        assert seen.consistency.upper <= 0.10


points = st.lists(
    st.builds(Point, st.uuids().map(str), st.floats(0.9, 1.1), st.floats(0.05, 5.0), st.floats(-1.0, 1.0)),
    min_size=1,
    max_size=8,
    unique_by=lambda p: p.id,
)
weights = st.builds(
    ObjectiveWeights, latency=st.integers(1, 100), memory=st.integers(1, 100), accuracy=st.integers(1, 100)
)


@given(points, weights)
def test_the_first_choice_is_as_good_as_one_on_the_frontier(
    some: list[Point], wish: ObjectiveWeights
) -> None:
    ranked = rank(some, wish, 0.95)
    front = frontier(some)
    best_on_front = max(r.score for r in ranked if r.id in front)
    assert front and ranked[0].score <= best_on_front + 1e-9
    assert sorted(r.id for r in ranked) == sorted(p.id for p in some)


@given(points, weights, st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_the_list(
    some: list[Point], wish: ObjectiveWeights, random: object
) -> None:
    mixed = list(some)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert rank(mixed, wish, 0.95) == rank(some, wish, 0.95)
    assert frontier(mixed) == frontier(some)
