"""Mid-ranks, tail edges and re-binning."""

from __future__ import annotations

import math

from edgeramp.decide.evidence import histogram


def test_mid_ranks_of_the_reference_itself_have_a_mean_of_one_half() -> None:
    reference = (3, 0, 10, 5, 2)
    by = histogram.scores(reference)
    assert math.isclose(sum(s * n for s, n in zip(by, reference, strict=True)) / 20, 0.5)
    assert by == (0.075, 0.15, 0.4, 0.775, 0.95)


def test_the_tail_begins_at_the_edge_nearest_to_its_share() -> None:
    reference = (50, 30, 12, 5, 2, 1)
    cut = histogram.tail_cut(reference, 0.05)
    assert histogram.tail(reference, cut) == 3
    assert histogram.tail(reference, histogram.tail_cut(reference, 0.01)) == 1


def test_a_reference_in_one_bucket_has_an_empty_tail() -> None:
    reference = (0, 100, 0, 0)
    assert histogram.tail(reference, histogram.tail_cut(reference, 0.05)) == 0


def test_grace_moves_requests_down_and_loses_none() -> None:
    assert histogram.faster((1, 2, 3, 4), 0) == (1, 2, 3, 4)
    assert histogram.faster((1, 2, 3, 4), 1) == (3, 3, 4, 0)
    assert histogram.faster((1, 2, 3, 4), 2) == (6, 4, 0, 0)


def test_nothing_added_to_something_is_something() -> None:
    assert histogram.add((), (1, 2)) == (1, 2)
    assert histogram.add((1, 2), ()) == (1, 2)
    assert histogram.add((1, 2), (3, 4)) == (4, 6)


def test_edges_printed_with_fewer_digits_still_match() -> None:
    edges = tuple(0.0001 * 1.1**k for k in range(141))
    cumulative = [(float(f"{edge:.12g}"), i + 1) for i, edge in enumerate(edges)]
    assert histogram.bucket_counts(edges, [*cumulative, (math.inf, 141)]) == (*(1,) * 141, 0)
