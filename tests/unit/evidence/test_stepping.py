"""state' = step(state, block): gaps, crashes, weight changes and money."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from bench.decisions.worlds import Behaviour, World

from edgeramp.decide.evidence import (
    Block,
    ErrorsMetric,
    EvidenceConfig,
    EvidenceState,
    LatencyMetric,
    LatencySeries,
    RequestSeries,
    Scrape,
    Track,
    TrackCounts,
    from_json,
    initial_state,
    observe,
    step,
    to_json,
)
from edgeramp.decide.evidence.judging import log_evidence
from edgeramp.decide.evidence.state import ErrorsEvidence, LatencyEvidence

CONFIG = EvidenceConfig(batch_limit=1)
ERRORS = EvidenceConfig(batch_limit=1, metrics=(ErrorsMetric(),))


def errors_of(state: EvidenceState) -> ErrorsEvidence:
    (found,) = [m for m in state.metrics if isinstance(m, ErrorsEvidence)]
    return found


def latency_of(state: EvidenceState) -> LatencyEvidence:
    (found,) = [m for m in state.metrics if isinstance(m, LatencyEvidence)]
    return found


def block(start: float, stable: tuple[int, int], candidate: tuple[int, int], weight: int = 25) -> Block:
    return Block(start, start + 5, weight, TrackCounts(*stable), TrackCounts(*candidate))


def run(config: EvidenceConfig, *blocks: Block) -> EvidenceState:
    state = initial_state(config)
    for one in blocks:
        state = step(config, state, one)
    return state


def scrape(at: float, requests: int, bad: int = 0) -> Scrape:
    """Counters of both tracks after `requests` at the candidate, three times as many at stable; latency too."""
    slow = (0.0101, 0.021, math.inf)
    return Scrape(
        at,
        requests=(
            RequestSeries(Track.STABLE, "proxy", 3 * requests, 0),
            RequestSeries(Track.CANDIDATE, "proxy", requests, bad),
        ),
        latency=(
            LatencySeries(
                Track.STABLE, "s", tuple(zip(slow, (2 * requests, 3 * requests, 3 * requests), strict=True))
            ),
            LatencySeries(
                Track.CANDIDATE, "c", tuple(zip(slow, (requests // 2, requests, requests), strict=True))
            ),
        ),
    )


def test_a_block_without_data_changes_no_evidence() -> None:
    before = run(CONFIG, block(0, (300, 1), (100, 2)))
    after = step(CONFIG, before, block(5, (0, 0), (0, 0)))
    assert [m for m in after.metrics if isinstance(m, ErrorsEvidence)] == [errors_of(before)]
    assert log_evidence(CONFIG, after) == log_evidence(CONFIG, before)


def test_counts_of_one_track_wait_for_the_other() -> None:
    waiting = run(ERRORS, block(0, (300, 1), (100, 2)), block(5, (0, 0), (50, 50)))
    assert log_evidence(ERRORS, waiting) == log_evidence(ERRORS, run(ERRORS, block(0, (300, 1), (100, 2))))
    joined = step(ERRORS, waiting, block(10, (300, 0), (0, 0)))
    whole = run(ERRORS, block(0, (300, 1), (100, 2)), replace(block(5, (300, 0), (50, 50)), end_s=15.0))
    assert errors_of(joined).wealth == errors_of(whole).wealth
    assert errors_of(joined).total == errors_of(whole).total


def test_waiting_counts_do_not_cross_a_weight_change() -> None:
    state = run(ERRORS, block(0, (0, 0), (50, 50), weight=5), block(5, (300, 0), (0, 0), weight=25))
    assert log_evidence(ERRORS, state) == pytest.approx(0.0, abs=1e-12)


def test_the_same_counts_in_one_block_or_two_are_the_same_evidence() -> None:
    two = run(ERRORS, block(0, (300, 1), (100, 2)), block(5, (300, 2), (100, 5)))
    one = run(ERRORS, block(0, (600, 3), (200, 7)))
    assert log_evidence(ERRORS, two) == pytest.approx(log_evidence(ERRORS, one), rel=1e-12)


def test_a_crash_makes_one_long_block_of_the_gap() -> None:
    """Killed after 10 s, back at 95 s: as if the scrapes in between had never been due."""
    before = [scrape(5, 100), scrape(10, 220, 2)]
    after = [scrape(95, 2000, 9), scrape(100, 2100, 10)]
    living = dying = initial_state(CONFIG, weight=25)
    for one in before:
        living = observe(CONFIG, living, one, 25)
        dying = observe(CONFIG, dying, one, 25)
    dying = from_json(CONFIG, json.loads(json.dumps(to_json(dying))))
    for one in after:
        living = observe(CONFIG, living, one, 25)
        dying = observe(CONFIG, dying, one, 25)
    assert dying == living
    assert errors_of(dying).total.candidate == 2000
    assert dying.minutes_paid == 1


def test_nothing_is_lost_when_a_crash_falls_between_two_saves() -> None:
    """Scrapes that were taken but not saved are taken again, from the saved counters."""
    saved = observe(CONFIG, initial_state(CONFIG, weight=25), scrape(5, 100), 25)
    once = observe(CONFIG, saved, scrape(15, 300, 4), 25)
    lost = observe(CONFIG, saved, scrape(10, 200, 1), 25)
    assert errors_of(lost).total.candidate == 100
    assert errors_of(once).total.candidate == 200
    assert errors_of(once).total.candidate_bad == 4


def test_the_block_across_a_weight_change_is_dropped() -> None:
    state = initial_state(CONFIG, weight=5)
    for one, weight in ((scrape(5, 100), 5), (scrape(10, 200), 5), (scrape(11, 230, 30), 25)):
        state = observe(CONFIG, state, one, weight)
    assert errors_of(state).total.candidate == 100
    assert errors_of(state).total.candidate_bad == 0
    assert (state.weight, state.weight_since_s) == (25, 11)
    state = observe(CONFIG, state, scrape(16, 330, 31), 25)
    assert errors_of(state).total.candidate_bad == 1


def test_a_series_silent_across_a_weight_change_starts_with_a_new_baseline() -> None:
    only_stable = Scrape(11, requests=(RequestSeries(Track.STABLE, "proxy", 800, 0),))
    state = initial_state(CONFIG, weight=5)
    for one, weight in ((scrape(5, 100), 5), (only_stable, 25), (scrape(16, 900, 700), 25)):
        state = observe(CONFIG, state, one, weight)
    assert errors_of(state).pending.candidate_bad == 0
    state = observe(CONFIG, state, scrape(21, 1000, 701), 25)
    assert errors_of(state).total.candidate_bad == 1


def test_scrapes_without_an_answer_are_counted_and_forgiven() -> None:
    state = observe(CONFIG, initial_state(CONFIG, weight=25), scrape(5, 100), 25)
    for at in (10.0, 15.0):
        state = observe(CONFIG, state, Scrape(at), 25)
    assert (state.missing_requests, state.missing_latency) == (2, 2)
    state = observe(CONFIG, state, scrape(20, 400, 1), 25)
    assert (state.missing_requests, state.missing_latency) == (0, 0)
    assert errors_of(state).total.candidate == 300


def test_the_first_weight_above_nought_begins_the_ramp() -> None:
    state = observe(CONFIG, initial_state(CONFIG), scrape(40, 0), 0)
    assert state.began_s < 0
    state = observe(CONFIG, state, scrape(45, 0), 5)
    assert state.began_s == 45
    assert observe(CONFIG, state, scrape(50, 0), 25).began_s == 45


def test_latency_is_not_tested_before_its_reference_is_frozen() -> None:
    config = EvidenceConfig(metrics=(LatencyMetric(),), latency_edges=(0.1, 0.2), warmup_s=0.0)
    first = Block(0, 5, 25, TrackCounts(0, 0, (90, 60, 0)), TrackCounts(0, 0, (0, 0, 50)))
    state = step(config, initial_state(config), first)
    assert latency_of(state).reference == ()
    assert latency_of(state).collecting == (90, 60, 0)
    second = replace(first, start_s=5, end_s=10)
    state = step(config, state, second)
    assert latency_of(state).reference == (180, 120, 0)
    assert log_evidence(config, state) == pytest.approx(0.0, abs=1e-12)
    assert log_evidence(config, step(config, state, replace(first, start_s=10, end_s=15))) > 0.5


def test_a_cold_start_is_not_held_against_the_candidate_but_its_errors_are() -> None:
    cold = World(100, Behaviour(), Behaviour(median_s=0.2))
    rng = np.random.default_rng(4)
    state = initial_state(CONFIG, cold.history(CONFIG, 400, rng))
    for i in range(6):
        state = step(CONFIG, state, cold.block(CONFIG, 5.0 * i, 25, rng))
    assert log_evidence(CONFIG, state) < 0.1
    assert latency_of(state).running[0].pairs == 5
    assert log_evidence(CONFIG, step(CONFIG, state, cold.block(CONFIG, 30.0, 25, rng))) > math.log(100)
    failing = World(100, Behaviour(), Behaviour(0.5))
    state = step(CONFIG, initial_state(CONFIG), failing.block(CONFIG, 0.0, 25, rng))
    assert log_evidence(CONFIG, state) > math.log(100)


def test_a_faster_candidate_is_never_held_against_it() -> None:
    world = World(100, Behaviour(), Behaviour(median_s=0.01))
    rng, state = np.random.default_rng(4), initial_state(CONFIG)
    for i in range(40):
        state = step(CONFIG, state, world.block(CONFIG, 5.0 * i, 25, rng))
        assert log_evidence(CONFIG, state) < 1.0


def test_grace_forgives_one_bucket() -> None:
    world = World(100, Behaviour(spread=0.1), Behaviour(spread=0.1, median_s=0.021))
    endings = []
    for grace in (0, 1):
        config = EvidenceConfig(batch_limit=1, metrics=(LatencyMetric(grace_steps=grace),))
        rng, state = np.random.default_rng(4), initial_state(config)
        for i in range(30):
            state = step(config, state, world.block(config, 5.0 * i, 25, rng))
        endings.append(log_evidence(config, state))
    assert endings[0] > math.log(100) > 1.0 > endings[1]


def test_the_state_is_small_and_survives_json() -> None:
    world = World(2000, Behaviour(0.002), Behaviour(0.002))
    rng = np.random.default_rng(5)
    config = replace(CONFIG, weights=(1, 2, 5, 10, 20, 30, 50, 75, 100))
    state = initial_state(config, world.history(config, 400, rng))
    for i in range(30):
        state = step(config, state, world.block(config, 5.0 * i, 10, rng))
    pods = tuple(
        LatencySeries(
            track, f"minilm-vnni-{track}-7c9d4f-{i:05d}", tuple((0.001 * 1.1**k, 9999 * k) for k in range(60))
        )
        for track in Track
        for i in range(10)
    )
    state = observe(config, state, Scrape(200.0, scrape(200, 5000).requests, pods), 10)
    text = json.dumps(to_json(state), separators=(",", ":"))
    assert len(text) < 16384
    assert from_json(config, json.loads(text)) == state


def test_counters_that_do_not_fit_are_left_out_and_start_anew() -> None:
    pods = tuple(
        LatencySeries(Track.STABLE, f"pod-{i}", tuple((0.001 * 1.1**k, 1000 * k) for k in range(90)))
        for i in range(100)
    )
    state = observe(CONFIG, initial_state(CONFIG, weight=25), Scrape(5.0, scrape(5, 10).requests, pods), 25)
    text = json.dumps(to_json(state), separators=(",", ":"))
    assert len(text) < 16384
    back = from_json(CONFIG, json.loads(text))
    assert back.counters is not None
    assert 10 < len(back.counters.latency) < 100
    assert len(back.counters.requests) == 2


def test_evidence_of_other_metrics_or_versions_is_refused() -> None:
    data = to_json(initial_state(CONFIG))
    with pytest.raises(ValueError, match="other metrics"):
        from_json(ERRORS, data)
    with pytest.raises(ValueError, match="version"):
        from_json(CONFIG, {**data, "version": 99})
    with pytest.raises(ValueError, match="cannot be read"):
        from_json(CONFIG, {"version": 1})


def test_steps_edited_during_the_ramp_only_ask_for_new_proof() -> None:
    state = run(CONFIG, *(block(5.0 * i, (300, 1), (100, 2)) for i in range(9)))
    other = replace(CONFIG, weights=(25, 60, 100))
    back = from_json(other, to_json(state))
    assert [p.target for p in errors_of(back).promote] == [25, 60, 100]
    assert errors_of(back).wealth == errors_of(state).wealth
