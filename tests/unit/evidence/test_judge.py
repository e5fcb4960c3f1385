"""Verdicts and sentences: the worst that holds is said, with its numbers."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from bench.decisions.worlds import Behaviour, World, ramp

from edgeramp.api.rollout import Analysis
from edgeramp.decide.evidence import (
    Action,
    Block,
    ErrorsMetric,
    EvidenceConfig,
    EvidenceReason,
    EvidenceState,
    LatencyMetric,
    TrackCounts,
    config_from_analysis,
    initial_state,
    judge,
    step,
)
from edgeramp.values.verdict import Verdict

ERRORS = EvidenceConfig(batch_limit=1, metrics=(ErrorsMetric(),))


def fed(
    config: EvidenceConfig,
    stable: tuple[int, int],
    candidate: tuple[int, int],
    times: int,
    weight: int = 5,
    seen: bool = True,
) -> EvidenceState:
    """The state after `times` equal blocks of 5 s, with money and latency left out."""
    state = initial_state(config)
    for i in range(times):
        counts = TrackCounts(*stable), TrackCounts(*candidate)
        state = step(config, state, Block(5.0 * i, 5.0 * i + 5, weight, *counts, seen, seen))
    return state


def test_no_data_awaits_evidence() -> None:
    now = judge(ERRORS, initial_state(ERRORS), 5, 25, 600.0)
    assert (now.verdict, now.reason) == (Verdict.AWAITING_EVIDENCE, EvidenceReason.NO_DATA)
    assert now.sentence == "Holding at 5 %: no request has been counted on both tracks at this weight yet."


def test_a_failing_candidate_fails_with_its_interval() -> None:
    now = judge(ERRORS, fed(ERRORS, (475, 1), (25, 5), 3), 5, 25, 15.0)
    assert (now.verdict, now.reason) == (Verdict.FAIL, EvidenceReason.TOLERANCE_EXCEEDED)
    assert now.findings[0].verdict is Verdict.FAIL
    assert now.against >= 100
    assert now.sentence == (
        "Rolled back: candidate error rate is at least 10.4x of stable (99 % always-valid interval) after 75"
        " candidate requests in 15s; tolerated is 1.1x + 0.05 pp. Within tolerance, evidence this strong comes up"
        " in at most 1 of 1,000,000 rollouts (phi 1.25 assumed, batch limit 1)."
    )


def test_an_interval_with_both_ends_reads_as_a_range() -> None:
    now = judge(ERRORS, fed(ERRORS, (300, 6), (100, 6), 20, weight=25), 25, 50, 100.0)
    assert now.verdict is Verdict.FAIL
    assert "candidate error rate is 1.8x to 5.2x of stable (99 % always-valid interval)" in now.sentence


def test_a_healthy_candidate_passes_after_the_least_time() -> None:
    state = fed(ERRORS, (375, 0), (125, 0), 30, weight=25)
    early = judge(ERRORS, state, 25, 50, 20.0)
    assert early.verdict is Verdict.AWAITING_EVIDENCE
    assert early.sentence == (
        "Holding at 25 %: within the margins after 3,750 candidate requests, 10s of the least 30s at a weight"
        " remain."
    )
    late = judge(ERRORS, state, 25, 50, 150.0)
    assert (late.verdict, late.reason) == (Verdict.PASS, EvidenceReason.PROVEN)
    assert late.sentence == (
        "25 % to 50 %: candidate adds less than 0.4 pp errors, after 3,750 candidate requests in 2m30s."
    )


def test_too_few_requests_do_not_decide() -> None:
    now = judge(ERRORS, fed(ERRORS, (95, 0), (5, 0), 20), 5, 25, 100.0)
    assert (now.verdict, now.reason) == (Verdict.AWAITING_EVIDENCE, EvidenceReason.COLLECTING)
    assert now.sentence.startswith(
        "Holding at 5 %: 100 candidate requests in 1m40s do not decide yet; to be proven"
    )
    assert "% of the evidence)" in now.sentence


def test_undecided_at_the_longest_duration_is_inconclusive() -> None:
    config = replace(ERRORS, max_duration_s=100.0)
    now = judge(config, fed(config, (95, 0), (5, 0), 20), 5, 25, 100.0)
    assert (now.verdict, now.reason) == (Verdict.INCONCLUSIVE, EvidenceReason.MAX_DURATION)
    assert re.match(
        r"Undecided at 5 % after 1m40s and [\d,]+ candidate requests at this weight: neither", now.sentence
    )


def test_missing_metrics_are_an_error_and_hold() -> None:
    state = fed(ERRORS, (0, 0), (0, 0), 6, weight=10, seen=False)
    now = judge(ERRORS, state, 10, 25, 30.0)
    assert (now.verdict, now.reason) == (Verdict.ERROR, EvidenceReason.METRICS_MISSING)
    assert now.sentence == "Holding at 10 %: no complete answer from the tracks' request counters for 30s."
    five = judge(ERRORS, fed(ERRORS, (0, 0), (0, 0), 5, weight=10, seen=False), 10, 25, 30.0)
    assert five.verdict is Verdict.AWAITING_EVIDENCE


def test_proof_of_another_weight_does_not_open_the_next_one() -> None:
    state = fed(ERRORS, (375, 0), (125, 0), 60, weight=25)
    assert judge(ERRORS, state, 25, 50, 300.0).verdict is Verdict.PASS
    now = judge(ERRORS, state, 50, 100, 60.0)
    assert (now.verdict, now.reason) == (Verdict.AWAITING_EVIDENCE, EvidenceReason.NO_DATA)


def test_evidence_that_has_grown_old_is_an_error() -> None:
    state = fed(ERRORS, (375, 0), (125, 0), 60, weight=25)
    assert judge(ERRORS, state, 25, 50, 330.0).verdict is Verdict.PASS
    now = judge(ERRORS, state, 25, 50, 340.0)
    assert (now.verdict, now.reason) == (Verdict.ERROR, EvidenceReason.METRICS_MISSING)
    assert now.sentence == "Holding at 25 %: no complete answer from the tracks' metrics for 40s."


def test_latency_metrics_are_only_missed_where_they_are_asked_for() -> None:
    state = replace(fed(ERRORS, (95, 0), (5, 0), 3), missing_latency=60)
    assert judge(ERRORS, state, 5, 25, 15.0).verdict is Verdict.AWAITING_EVIDENCE


def test_an_outage_acts_at_once_even_where_phi_is_large() -> None:
    config = replace(ERRORS, batch_limit=64)
    now = judge(config, fed(config, (90, 0), (4, 4), 3), 5, 25, 15.0)
    assert (now.verdict, now.reason) == (Verdict.FAIL, EvidenceReason.OUTAGE)
    assert now.sentence == (
        "Rolled back: the candidate failed 12 of its last 12 requests in 3 scrapes while stable failed 0 of 270"
        " (guard: 90 % of at least 10)."
    )


@pytest.mark.parametrize(
    ("stable", "candidate", "times"),
    [
        pytest.param((90, 40), (4, 4), 3, id="stable is failing as well"),
        pytest.param((90, 0), (3, 3), 3, id="fewer than ten requests"),
        pytest.param((90, 0), (10, 8), 3, id="one in five still succeeds"),
        pytest.param((90, 0), (8, 8), 2, id="only two scrapes"),
    ],
)
def test_the_outage_guard_keeps_quiet_when(
    stable: tuple[int, int], candidate: tuple[int, int], times: int
) -> None:
    config = replace(ERRORS, batch_limit=64)
    assert judge(config, fed(config, stable, candidate, times), 5, 25, 15.0).verdict is not Verdict.FAIL


def test_a_metric_that_holds_keeps_the_weight_and_rolls_nothing_back() -> None:
    config = EvidenceConfig(
        batch_limit=1, metrics=(ErrorsMetric(name="own", action=Action.HOLD), ErrorsMetric())
    )
    config = replace(config, metrics=(config.metrics[0], ErrorsMetric(ratio=50.0, user_budget=None)))
    now = judge(config, fed(config, (475, 1), (25, 3), 10), 5, 25, 50.0)
    assert (now.verdict, now.reason) == (Verdict.AWAITING_EVIDENCE, EvidenceReason.METRIC_HELD)
    assert now.sentence.endswith("(action Hold).")


def test_a_metric_that_only_reports_never_blocks() -> None:
    config = EvidenceConfig(
        batch_limit=1, metrics=(ErrorsMetric(), ErrorsMetric(name="strict", action=Action.REPORT, ratio=0.01))
    )
    assert judge(config, fed(config, (375, 0), (125, 0), 30, 25), 25, 50, 150.0).verdict is Verdict.PASS


def test_two_metrics_share_one_rate_of_false_rollbacks() -> None:
    alone = judge(ERRORS, fed(ERRORS, (475, 1), (25, 1), 8), 5, 25, 40.0)
    both = EvidenceConfig(batch_limit=1)
    shared = judge(both, fed(both, (475, 1), (25, 1), 8), 5, 25, 40.0)
    assert shared.against == pytest.approx(0.5 * alone.against + 0.5)


def test_a_slower_candidate_is_named_as_slower() -> None:
    config = EvidenceConfig(batch_limit=1)
    world = World(100, Behaviour(), Behaviour(median_s=0.03))
    rng = np.random.default_rng(8)
    end = ramp(config, world, rng, world.history(config, 400, rng))
    assert end.judgement.verdict is Verdict.FAIL
    assert "candidate is slower than stable with P 0." in end.judgement.sentence
    assert "(tolerated 0.52)" in end.judgement.sentence
    assert "of the candidate's requests take longer than" in end.judgement.sentence
    named = {f.name: f.verdict for f in end.judgement.findings}
    assert named["latency"] is Verdict.FAIL
    assert named["errors"] is not Verdict.FAIL


def test_the_step_forward_reads_like_the_design() -> None:
    config = EvidenceConfig(batch_limit=1, weights=(5, 10, 100))
    end = ramp(config, World(200), np.random.default_rng(1), None, 900.0)
    assert end.sentences[0].startswith(
        "5 % to 10 %: candidate adds less than 2 pp errors, is not slower (P 0."
    )
    assert ", needs < 0.56), after " in end.sentences[0]


def test_a_finding_says_what_is_there_and_what_is_still_to_prove() -> None:
    now = judge(ERRORS, fed(ERRORS, (95, 1), (5, 0), 20), 5, 25, 100.0)
    assert now.findings[0].sentence == (
        "0 of 100 candidate requests failed, stable 20 of 1,900; to add less than 0.8 pp is proven to 28 %"
        " (phi 1.25 assumed)."
    )
    both = EvidenceConfig(batch_limit=1)
    findings = judge(both, initial_state(both), 5, 25, 0.0).findings
    assert findings[1].sentence == "stable's reference for latency is still being collected."


def test_the_last_step_asks_for_the_margin_of_everybody() -> None:
    state = fed(ERRORS, (250, 0), (250, 0), 30, weight=50)
    assert judge(ERRORS, state, 50, None, 150.0) == judge(ERRORS, state, 50, 100, 150.0)


def test_a_weight_between_the_planned_ones_uses_the_stricter_margin() -> None:
    state = fed(ERRORS, (250, 0), (250, 0), 4, weight=25)
    between, planned = (judge(ERRORS, state, 25, weight, 60.0).findings[0].proven for weight in (40, 50))
    assert between == planned


def test_the_api_becomes_a_config() -> None:
    config = config_from_analysis(Analysis(), (0, 5, 25, 100), 1)
    assert config == EvidenceConfig(weights=(5, 25, 100), batch_limit=1)
    assert isinstance(config.metrics[1], LatencyMetric)


@pytest.mark.parametrize(
    "wrong",
    [
        {"false_rollback": 0.0},
        {"weights": (0, 5)},
        {"batch_limit": 0},
        {"dispersion": 0.5},
        {"metrics": ()},
        {"metrics": (ErrorsMetric(share=0.0),)},
        {"metrics": (ErrorsMetric(), ErrorsMetric())},
        {"max_duration_s": 0.0},
    ],
)
def test_a_config_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        EvidenceConfig(**wrong)  # type: ignore[arg-type]
