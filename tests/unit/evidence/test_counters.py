"""Raw counters become increments: nothing is lost, nothing counted twice."""

from __future__ import annotations

import math

from edgeramp.decide.evidence import EvidenceConfig, LatencySeries, RequestSeries, Scrape, Track, increments
from edgeramp.decide.evidence.blocks import Block
from edgeramp.decide.evidence.counters import FORGET_S
from edgeramp.decide.evidence.state import Counters

CONFIG = EvidenceConfig(latency_edges=(0.1, 0.2))
S, C = Track.STABLE, Track.CANDIDATE


def scrape(at: float, *series: RequestSeries) -> Scrape:
    return Scrape(at, requests=series)


def series(track: Track, source: str, total: int, bad: int = 0, born: float | None = None) -> RequestSeries:
    return RequestSeries(track, source, total, bad, born)


def read(*scrapes: Scrape) -> tuple[Counters, Block]:
    """The last block of a row of scrapes under one weight."""
    counters, block = None, None
    for one in scrapes:
        counters, block = increments(CONFIG, counters, one, 25)
    assert counters is not None
    assert block is not None
    return counters, block


def test_the_first_scrape_is_only_a_baseline() -> None:
    _, block = increments(CONFIG, None, scrape(0, series(S, "a", 500, 3)), 25)
    assert block is None


def test_increments_are_summed_per_track() -> None:
    _, block = read(
        scrape(0, series(S, "a", 100, 1), series(S, "b", 10), series(C, "c", 5)),
        scrape(5, series(S, "a", 130, 2), series(S, "b", 15), series(C, "c", 9, 4)),
    )
    assert (block.stable.requests, block.stable.bad) == (35, 1)
    assert (block.candidate.requests, block.candidate.bad) == (4, 4)
    assert (block.start_s, block.end_s, block.weight) == (0, 5, 25)


def test_a_value_that_fell_was_reset_and_its_new_value_is_the_increment() -> None:
    _, block = read(scrape(0, series(C, "c", 900, 7)), scrape(5, series(C, "c", 12, 3)))
    assert (block.candidate.requests, block.candidate.bad) == (12, 3)


def test_a_series_seen_for_the_first_time_is_only_a_baseline() -> None:
    _, block = read(scrape(0, series(S, "a", 1)), scrape(5, series(S, "a", 2), series(S, "b", 700, 70)))
    assert (block.stable.requests, block.stable.bad) == (1, 0)


def test_a_series_born_since_the_last_scrape_counts_in_full() -> None:
    _, block = read(
        scrape(0, series(S, "a", 1)), scrape(5, series(S, "a", 1), series(S, "b", 7, 1, born=2.0))
    )
    assert (block.stable.requests, block.stable.bad) == (7, 1)


def test_a_series_born_before_the_last_scrape_is_only_a_baseline() -> None:
    _, block = read(
        scrape(0, series(S, "a", 1)),
        scrape(5, series(S, "a", 1)),
        scrape(10, series(S, "a", 1), series(S, "b", 7, 1, born=2.0)),
    )
    assert block.stable.requests == 0


def test_a_vanished_series_counts_nothing_and_everything_when_it_is_back() -> None:
    first = scrape(0, series(S, "a", 10), series(C, "c", 10))
    gone = scrape(5, series(S, "a", 20))
    back = scrape(10, series(S, "a", 30), series(C, "c", 24, 2))
    _, block = read(first, gone)
    assert block.candidate.requests == 0
    assert not block.requests_seen
    _, block = read(first, gone, back)
    assert (block.candidate.requests, block.candidate.bad) == (14, 2)
    assert block.requests_seen


def test_a_series_that_is_away_for_long_is_forgotten_and_starts_anew() -> None:
    late = FORGET_S + 10
    counters, _ = read(scrape(0, series(C, "c", 10)), scrape(late))
    assert counters.requests == ()
    _, block = read(scrape(0, series(C, "c", 10)), scrape(late), scrape(late + 5, series(C, "c", 99)))
    assert block.candidate.requests == 0


def test_a_proxy_that_did_not_know_the_cluster_counts_from_zero() -> None:
    _, block = read(scrape(0, series(C, "proxy", 0)), scrape(5, series(C, "proxy", 40, 40)))
    assert block.candidate.bad == 40


def test_histograms_are_read_by_their_edges() -> None:
    def pods(at: float, *cumulative: int) -> Scrape:
        edges = (0.1, 0.2, math.inf)
        return Scrape(at, latency=(LatencySeries(C, "c", tuple(zip(edges, cumulative, strict=True))),))

    _, block = read(pods(0, 5, 8, 10), pods(5, 6, 11, 14))
    assert block.candidate.latency == (1, 2, 1)
    _, block = read(pods(0, 5, 8, 10), pods(5, 1, 1, 2))
    assert block.candidate.latency == (1, 0, 1)


def test_a_histogram_with_other_edges_falls_into_ours() -> None:
    def pods(at: float, n: int) -> Scrape:
        cumulative = ((0.05, n), (0.15, 2 * n), (0.2000000000001, 3 * n), (1.0, 4 * n), (math.inf, 5 * n))
        return Scrape(at, latency=(LatencySeries(C, "c", cumulative),))

    _, block = read(pods(0, 0), pods(5, 2))
    assert block.candidate.latency == (2, 4, 4)
