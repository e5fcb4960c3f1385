"""Measurements add up as docs/checks.md says: a machine of random measurements against the written rules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgeramp.decide.checks.accounting import (
    RETRY_S,
    Outcome,
    Rules,
    Tally,
    due_s,
    measured,
    outcome,
    verdict,
)
from edgeramp.values.verdict import Verdict

FINAL = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
RULES = st.builds(
    Rules,
    count=st.none() | st.integers(1, 5),
    interval_s=st.just(30.0),
    initial_delay_s=st.sampled_from([0.0, 45.0]),
    failure_limit=st.integers(-1, 3),
    inconclusive_limit=st.integers(0, 3),
    consecutive_error_limit=st.integers(0, 4),
    deadline_s=st.just(600.0),
)


@pytest.mark.parametrize(("success", "failure", "result", "expected"), [
    ("", "", 0, "Successful"), ("result > 1", "", 2, "Successful"), ("result > 1", "", 1, "Failed"),
    ("", "result > 1", 2, "Failed"), ("", "result > 1", 1, "Successful"), ("result > 2", "result < 1", 3, "Successful"),
    ("result > 2", "result < 1", 0, "Failed"), ("result > 2", "result < 1", 1.5, "Inconclusive"),
    ("result > 1", "result > 2", 3, "Failed"), ("result > 1", "", [], "NoData"), ("result > 'a'", "", 1, "Error"),
    ("result >", "", 1, "Error"),
])  # fmt: skip
def test_two_conditions_make_an_outcome(success: str, failure: str, result: Any, expected: str) -> None:
    assert outcome(success, failure, result)[0] == expected


class Accounting(RuleBasedStateMachine):
    """Keeps a plain list of outcomes beside the tally, and states the rules on the list."""

    @initialize(rules=RULES)
    def begin(self, rules: Rules) -> None:
        self.rules, self.now = rules, 1000.0
        self.tally = Tally(started_s=self.now)
        self.all: list[Outcome] = []

    @precondition(lambda self: due_s(self.rules, self.tally, self.now) is not None)
    @rule(what=st.sampled_from(Outcome))
    def measure(self, what: Outcome) -> None:
        due = due_s(self.rules, self.tally, self.now)
        assert due is not None
        first = self.tally.last_s is None
        assert due == (1000.0 + self.rules.initial_delay_s if first else (self.tally.last_s or 0.0) + 30.0)
        self.now = max(self.now, due)
        self.tally = measured(self.tally, what, self.now)
        self.all.append(what)

    @rule(seconds=st.sampled_from([1.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_verdict_is_that_of_the_list(self) -> None:
        failed, unsure = self.all.count(Outcome.FAILED), self.all.count(Outcome.INCONCLUSIVE)
        said = failed + unsure + self.all.count(Outcome.SUCCESSFUL)
        errors = next((i for i, o in enumerate(reversed(self.all)) if o is not Outcome.ERROR), len(self.all))
        rules, now = self.rules, verdict(self.rules, self.tally, self.now)
        if rules.failure_limit >= 0 and failed > rules.failure_limit:
            assert now is Verdict.FAIL
        elif unsure > rules.inconclusive_limit:
            assert now is Verdict.INCONCLUSIVE
        elif rules.count is not None and said >= rules.count:
            assert now is Verdict.PASS
        elif errors > rules.consecutive_error_limit:
            assert now is Verdict.ERROR
        elif rules.count is not None and self.now >= 1600.0:
            assert now is Verdict.INCONCLUSIVE
        else:
            assert now is Verdict.AWAITING_EVIDENCE

    @invariant()
    def nothing_passes_that_said_nothing(self) -> None:
        if not self.tally.counted:
            assert verdict(self.rules, self.tally, self.now) in (
                Verdict.AWAITING_EVIDENCE, Verdict.ERROR, Verdict.INCONCLUSIVE,
            )  # fmt: skip

    @invariant()
    def what_is_final_measures_no_more(self) -> None:
        final = verdict(self.rules, self.tally, self.now) in FINAL
        assert (due_s(self.rules, self.tally, self.now) is None) is final


TestAccounting = Accounting.TestCase


def test_an_error_without_an_interval_is_tried_again_after_ten_seconds() -> None:
    assert due_s(Rules(), measured(Tally(0.0), Outcome.ERROR, 5.0), 5.0) == 5.0 + RETRY_S


@given(st.lists(st.sampled_from(Outcome), max_size=8))
def test_only_an_answer_ends_a_run_of_errors(outcomes: list[Outcome]) -> None:
    tally = Tally(0.0)
    for i, what in enumerate(outcomes):
        tally = measured(tally, what, float(i))
    run = next((i for i, o in enumerate(reversed(outcomes)) if o is not Outcome.ERROR), len(outcomes))
    assert tally.consecutive_errors == run
