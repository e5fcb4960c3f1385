"""The frontier and the weighted choice."""

from __future__ import annotations

from edgeramp.api.common import ObjectiveWeights
from edgeramp.decide.frontier import Point, dominated_by, frontier, rank

FAST = Point("fast", retention=0.97, time=0.3, saved=0.7)
EXACT = Point("exact", retention=1.0, time=0.45, saved=0.7)
SMALL = Point("small", retention=0.98, time=0.48, saved=0.9)
WORSE = Point("worse", retention=0.96, time=0.5, saved=0.6)
ALL = (FAST, EXACT, SMALL, WORSE)


def test_a_point_that_another_beats_in_everything_is_not_on_the_frontier() -> None:
    assert frontier(ALL) == {"fast", "exact", "small"}
    assert dominated_by(WORSE, ALL) == "fast"
    assert dominated_by(FAST, ALL) == ""


def test_equal_points_are_both_on_the_frontier() -> None:
    twin = Point("twin", FAST.retention, FAST.time, FAST.saved)
    assert frontier((FAST, twin)) == {"fast", "twin"}


def test_the_weights_decide_among_the_frontier() -> None:
    assert rank(ALL, ObjectiveWeights(latency=1, memory=0, accuracy=0), 0.95)[0].id == "fast"
    assert rank(ALL, ObjectiveWeights(latency=0, memory=1, accuracy=0), 0.95)[0].id == "small"
    assert rank(ALL, ObjectiveWeights(latency=0, memory=0, accuracy=1), 0.95)[0].id == "exact"


def test_only_the_proportion_of_weights_counts() -> None:
    few, many = (
        ObjectiveWeights(latency=5, memory=3, accuracy=2),
        ObjectiveWeights(latency=50, memory=30, accuracy=20),
    )
    assert rank(ALL, few, 0.95) == rank(ALL, many, 0.95)


def test_no_weight_at_all_means_equal_weights() -> None:
    zero, one = (
        ObjectiveWeights(latency=0, memory=0, accuracy=0),
        ObjectiveWeights(latency=1, memory=1, accuracy=1),
    )
    assert [r.id for r in rank(ALL, zero, 0.95)] == [r.id for r in rank(ALL, one, 0.95)]


def test_the_order_of_two_does_not_depend_on_a_third() -> None:
    weights = ObjectiveWeights()
    with_all = [r.id for r in rank(ALL, weights, 0.95)]
    without = [r.id for r in rank((FAST, EXACT, WORSE), weights, 0.95)]
    assert [name for name in with_all if name != "small"] == without


def test_a_better_retention_than_the_original_earns_nothing_more() -> None:
    lucky = Point("lucky", 1.02, EXACT.time, EXACT.saved)
    first, second = rank((lucky, EXACT), ObjectiveWeights(), 0.95)
    assert first.score == second.score


def test_the_score_says_what_made_it() -> None:
    assert rank((FAST,), ObjectiveWeights(), 0.95)[0].why == (
        "time saved 0.70 x 0.50 + memory saved 0.70 x 0.30 + accuracy kept 0.40 x 0.20 = 0.640"
    )
