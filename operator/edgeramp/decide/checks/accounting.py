"""How measurements add up to a verdict. Meaning of the limits after Argo Rollouts (analysis/analysis.go,
docs/features/analysis.md), except where it would call nothing a success: no data counts neither way, a check without an
answer is never Pass, and a source that fails holds the ramp in place of rolling it back (docs/adr/0014-checks.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, assert_never

from edgeramp.decide.checks.expression import BadCondition, NoData, holds
from edgeramp.values.verdict import Verdict

RETRY_S = 10.0
"""After an error, where the check has no interval of its own (Argo's DefaultErrorRetryInterval)."""


class Outcome(StrEnum):
    """What one measurement says."""

    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"
    ERROR = "Error"
    NO_DATA = "NoData"


@dataclass(frozen=True, slots=True)
class Rules:
    """`count` None: as long as the ramp runs. `interval_s` None: once. Limits are the most that is still tolerated;
    `failure_limit` -1 tolerates all. Nothing may take longer than `deadline_s`."""

    count: int | None = 1
    interval_s: float | None = None
    initial_delay_s: float = 0.0
    failure_limit: int = 0
    inconclusive_limit: int = 0
    consecutive_error_limit: int = 4
    deadline_s: float = 7200.0


@dataclass(frozen=True, slots=True)
class Tally:
    """What was measured since `started_s` (epoch); `last_s` is when the last measurement was made."""

    started_s: float
    last_s: float | None = None
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    errors: int = 0
    consecutive_errors: int = 0
    no_data: int = 0

    @property
    def counted(self) -> int:
        """Measurements that said something, which is what `count` counts."""
        return self.successful + self.failed + self.inconclusive


def outcome(success: str, failure: str, result: Any) -> tuple[Outcome, str]:
    """What a result says by its conditions, and why it says nothing if so. Without any condition an answer is enough."""
    try:
        fails = holds(failure, result) if failure else False
        succeeds = holds(success, result) if success else False
    except NoData as nothing:
        return Outcome.NO_DATA, str(nothing)
    except BadCondition as bad:
        return Outcome.ERROR, str(bad)
    if fails or (success and not failure and not succeeds):
        return Outcome.FAILED, ""
    if success and not succeeds:
        return Outcome.INCONCLUSIVE, ""
    return Outcome.SUCCESSFUL, ""


def measured(tally: Tally, what: Outcome, at_s: float) -> Tally:
    """The tally with one more measurement. Only an answer ends a run of errors."""
    before, tally = tally, replace(tally, last_s=at_s, consecutive_errors=0)
    match what:
        case Outcome.SUCCESSFUL:
            return replace(tally, successful=tally.successful + 1)
        case Outcome.FAILED:
            return replace(tally, failed=tally.failed + 1)
        case Outcome.INCONCLUSIVE:
            return replace(tally, inconclusive=tally.inconclusive + 1)
        case Outcome.NO_DATA:
            return replace(tally, no_data=tally.no_data + 1)
        case Outcome.ERROR:
            run = before.consecutive_errors + 1
            return replace(tally, errors=tally.errors + 1, consecutive_errors=run)
        case _:
            assert_never(what)


def verdict(rules: Rules, tally: Tally, now_s: float) -> Verdict:
    """What the measurements come to now. Fail, Inconclusive and Pass are final; Error ends with the next answer."""
    if 0 <= rules.failure_limit < tally.failed:
        return Verdict.FAIL
    if tally.inconclusive > rules.inconclusive_limit:
        return Verdict.INCONCLUSIVE
    if rules.count is not None and tally.counted >= rules.count:
        return Verdict.PASS
    if tally.consecutive_errors > rules.consecutive_error_limit:
        return Verdict.ERROR
    if rules.count is not None and now_s - tally.started_s >= rules.deadline_s:
        return Verdict.INCONCLUSIVE
    return Verdict.AWAITING_EVIDENCE


def due_s(rules: Rules, tally: Tally, now_s: float) -> float | None:
    """When the next measurement is to be made (epoch); None: no more."""
    if verdict(rules, tally, now_s) in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS):
        return None
    if tally.last_s is None:
        return tally.started_s + rules.initial_delay_s
    return tally.last_s + (rules.interval_s if rules.interval_s is not None else RETRY_S)
