"""What must hold for all counts: fair bets, finite evidence, lossless JSON, phi as a root."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeramp.decide.evidence import (
    Block,
    ErrorsMetric,
    EvidenceConfig,
    EvidenceState,
    LatencyMetric,
    TrackCounts,
    factors,
    from_json,
    initial_state,
    judge,
    step,
    to_json,
)
from edgeramp.decide.evidence.factors import Tolerance
from edgeramp.decide.evidence.judging import log_evidence
from edgeramp.decide.evidence.state import ErrorsEvidence, LatencyEvidence

RATES = (0.0, 0.001, 0.02, 0.1, 0.3, 0.5, 0.9, 1.0)
SIZES = ((1, 1), (1, 5), (4, 2), (3, 6), (7, 7))
TOLERANCES = (Tolerance(1.0, 0.0), Tolerance(1.1, 0.0005), Tolerance(1.1, 0.2), Tolerance(1.0, 0.05))


def binomial(n: int, k: int, p: float) -> float:
    return comb(n, k) * p**k * (1 - p) ** (n - k)


def expectation(log: object, candidate: int, stable: int, p_candidate: float, p_stable: float) -> float:
    assert callable(log)
    return sum(
        binomial(candidate, x, p_candidate) * binomial(stable, y, p_stable) * math.exp(log(x, y))
        for x in range(candidate + 1)
        for y in range(stable + 1)
    )


@pytest.mark.parametrize("tolerance", TOLERANCES)
@pytest.mark.parametrize(("candidate", "stable"), SIZES)
@pytest.mark.parametrize("phi", [1.0, 1.25, 16.0])
def test_count_is_fair_on_the_tolerance_and_below(
    candidate: int, stable: int, tolerance: Tolerance, phi: float
) -> None:
    for arm in factors.COUNT_ARMS:
        for p in RATES:
            for part in (1.0, 0.5, 0.0):
                harmless = min(1.0, part * (tolerance.ratio * p + tolerance.add))

                def log(x: int, y: int, arm: float = arm) -> float:
                    return factors.count_log(candidate, stable, x, y, arm, tolerance, phi)

                assert expectation(log, candidate, stable, harmless, p) <= 1.0 + 1e-9


@pytest.mark.parametrize("tolerance", TOLERANCES)
@pytest.mark.parametrize(("candidate", "stable"), SIZES)
@pytest.mark.parametrize("want", [0.0005, 0.05, 0.5, 0.95])
def test_betting_is_fair_for_any_rate_whatever_was_expected(
    candidate: int, stable: int, tolerance: Tolerance, want: float
) -> None:
    """Against a breach where the stake is above 0, for non-inferiority where it is below."""
    odds = tolerance.ratio * candidate / stable
    for expect in (0.0001, 0.01, 0.3):
        bet = factors.rate_bet(candidate, stable, expect, want, tolerance)

        def log(x: int, y: int, bet: factors.Bet = bet) -> float:
            return factors.betting_log(
                ((1.0, x), (0.0, candidate - x)), ((1.0, y), (0.0, stable - y)), bet, odds, 1.0
            )

        for p in RATES:
            on_it = tolerance.ratio * p + tolerance.add
            beyond = (on_it, 0.5 * on_it, 0.0) if bet.stake >= 0 else (on_it, 0.5 * (on_it + 1.0), 1.0)
            for rate in beyond:
                if rate <= 1.0 and (bet.stake >= 0 or rate >= on_it):
                    assert expectation(log, candidate, stable, rate, p) <= 1.0 + 1e-9


@pytest.mark.parametrize("margin", [0.02, 0.06])
def test_bets_on_ranks_are_fair(margin: float) -> None:
    """Scores 0, 1/2 and 1 in any mixture; the candidate's mean is `margin` above stable's."""
    for arm in factors.RANK_ARMS:
        for sign in (1.0, -1.0):
            bet = factors.rank_bet(2, 3, 0.5, 0.5 + margin + sign * arm, margin)
            for low in (0.0, 0.2, 0.6):
                stable = ((0.0, low), (0.5, 0.4), (1.0, 0.6 - low))
                candidate = ((0.0, max(0.0, low - margin)), (0.5, 0.4), (1.0, 0.6 - max(0.0, low - margin)))
                mean_s = sum(x * p for x, p in stable)
                mean_c = sum(x * p for x, p in candidate)
                if sign * (mean_c - mean_s - margin) > 1e-12:
                    continue
                fair_c = sum(p * (1 + bet.stake * (x - bet.centre_candidate)) for x, p in candidate)
                fair_s = sum(p * (1 - bet.stake * 2 / 3 * (y - bet.centre_stable)) for y, p in stable)
                assert fair_c**2 * fair_s**3 <= 1.0 + 1e-9


CONFIG = EvidenceConfig(batch_limit=1, latency_edges=(0.01, 0.02, 0.05, 0.1), warmup_s=0.0)
counts = st.integers(0, 10**7)


@st.composite
def tracks(draw: st.DrawFn) -> TrackCounts:
    requests = draw(counts)
    latency = draw(st.one_of(st.just(()), st.tuples(counts, counts, counts, counts, counts)))
    return TrackCounts(requests, draw(st.integers(0, requests)), latency)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[Block, ...]:
    out, at = [], 0.0
    for _ in range(draw(st.integers(1, 6))):
        length = draw(st.sampled_from((1.0, 5.0, 70.0, 9000.0)))
        weight = draw(st.sampled_from((5, 25, 100)))
        out.append(
            Block(
                at,
                at + length,
                weight,
                draw(tracks()),
                draw(tracks()),
                draw(st.booleans()),
                draw(st.booleans()),
            )
        )
        at += length
    return tuple(out)


def run(config: EvidenceConfig, row: tuple[Block, ...]) -> EvidenceState:
    state = initial_state(config)
    for block in row:
        state = step(config, state, block)
    return state


@given(blocks())
@settings(max_examples=60, deadline=None)
def test_evidence_is_finite_and_json_is_lossless_for_all_counts(row: tuple[Block, ...]) -> None:
    state = run(CONFIG, row)
    assert math.isfinite(log_evidence(CONFIG, state))
    for metric in state.metrics:
        logs = (
            metric.wealth if isinstance(metric, ErrorsEvidence) else metric.ranks + metric.shift + metric.p99
        )
        assert all(math.isfinite(log) for log in logs)
        assert isinstance(metric, ErrorsEvidence | LatencyEvidence)
    assert from_json(CONFIG, json.loads(json.dumps(to_json(state)))) == state
    now = judge(CONFIG, state, row[-1].weight, 100, 60.0)
    assert math.isfinite(now.against)
    assert now.sentence
    assert all(math.isfinite(f.proven) for f in now.findings)


@given(blocks(), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_a_restart_anywhere_changes_nothing(row: tuple[Block, ...], cut: int) -> None:
    state = initial_state(CONFIG)
    for position, block in enumerate(row):
        if position == cut:
            state = from_json(CONFIG, json.loads(json.dumps(to_json(state))))
        state = step(CONFIG, state, block)
    assert state == run(CONFIG, row)


@given(st.integers(1, 5000), st.integers(1, 5000), st.data())
@settings(max_examples=60, deadline=None)
def test_phi_two_is_the_root_of_phi_one_for_every_arm(
    candidate: int, stable: int, data: st.DataObject
) -> None:
    bad = data.draw(st.integers(0, candidate)), data.draw(st.integers(0, stable))
    for arm in factors.COUNT_ARMS:
        one, two = (
            factors.count_log(candidate, stable, *bad, arm, Tolerance(1.1, 0.0005), phi) for phi in (1.0, 2.0)
        )
        assert two == pytest.approx(one / 2.0)


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=2, max_size=6))
@settings(max_examples=30, deadline=None)
def test_no_errors_at_all_never_count_against_the_candidate(sizes: list[tuple[int, int]]) -> None:
    config = replace(CONFIG, metrics=(ErrorsMetric(), LatencyMetric(share=0.0)))
    row = tuple(
        Block(5.0 * i, 5.0 * i + 5, 25, TrackCounts(s, 0), TrackCounts(c, 0))
        for i, (s, c) in enumerate(sizes)
    )
    assert log_evidence(config, run(config, row)) <= 1e-12
