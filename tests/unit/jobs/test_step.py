"""One step of work: start, wait, again, done, given up."""

from __future__ import annotations

import pytest

from edgeramp.api.common import Attempts
from edgeramp.decide.jobs import JobState, JobView
from edgeramp.decide.jobs_step import Again, Busy, Done, GaveUp, Outcome, Start, Wait, Work, backoff, look
from edgeramp.render.job import JobOrder, Owner
from edgeramp.report import AssessSpec, AssessSummary, Failure, PrepareSummary, Summary
from edgeramp.report.spec import ArtifactRef, RunRef, Store
from edgeramp.values.quantities import timestamp

NOW = 1_795_000_000.0
DIGEST = "sha256:" + "a" * 64
SPEC = AssessSpec(
    run=RunRef(kind="EdgeModel", namespace="n", name="m", uid="u", generation=1),
    store=Store(host="s", repository="r"),
    model=ArtifactRef(digest=DIGEST),
    data={},
)
RESULT = PrepareSummary(artifact=DIGEST, format="onnx", size_bytes=1, seconds=1.0)


def outcome(
    state: JobState | None, code: int | None = None, summary: Summary | None = None, tries: Attempts | None = None,
    reason: str = "", max_failures: int | None = 2, now: float = NOW,
) -> Outcome:  # fmt: skip
    work = Work("x", JobOrder(SPEC, Owner("EdgeModel", "n", "m", "u")), tries or Attempts(), max_failures)
    jobs = {}
    if state:
        job = JobView(work.name, "j", "assess", state, code, summary, reason, "message", "box", NOW, NOW)
        jobs = {work.name: job}
    return look(work, jobs, now)


def test_what_has_no_job_is_started() -> None:
    assert isinstance(outcome(None), Start)


def test_a_running_job_is_waited_for() -> None:
    assert isinstance(outcome(JobState.RUNNING), Busy)


def test_a_result_is_taken() -> None:
    assert isinstance(outcome(JobState.SUCCEEDED, 0, RESULT), Done)


def test_a_transient_failure_is_tried_again_under_the_next_number() -> None:
    found = outcome(JobState.FAILED, 20)
    assert isinstance(found, Again) and (found.tries.made, found.tries.failures) == (1, 1)
    first = Work("x", JobOrder(SPEC, Owner("EdgeModel", "n", "m", "u")), Attempts())
    second = Work("x", first.order, found.tries)
    assert first.name.endswith("-1") and second.name.endswith("-2")
    assert first.name[:-2] == second.name[:-2]


def test_the_second_transient_failure_ends_it() -> None:
    found = outcome(JobState.FAILED, 20, tries=Attempts(made=1, failures=1))
    assert isinstance(found, GaveUp) and "tried 2 times" in found.message


def test_without_a_limit_it_is_never_given_up() -> None:
    found = outcome(JobState.FAILED, 20, tries=Attempts(made=40, failures=40), max_failures=None)
    assert isinstance(found, Again)


@pytest.mark.parametrize("code", [10, 11, 12, 13, 14, 16, 17])
def test_a_failure_that_would_repeat_itself_is_not_tried_again(code: int) -> None:
    assert isinstance(outcome(JobState.FAILED, code), GaveUp)


def test_out_of_memory_is_tried_once_more_with_more_then_ends() -> None:
    first = outcome(JobState.FAILED, 137, reason="OutOfMemory")
    assert isinstance(first, Again) and first.tries.ooms == 1
    work = Work("x", JobOrder(SPEC, Owner("EdgeModel", "n", "m", "u")), first.tries)
    assert work.current.ooms == 1
    second = outcome(JobState.FAILED, 137, reason="OutOfMemory", tries=first.tries)
    assert isinstance(second, GaveUp) and "half again the memory" in second.message


def test_after_running_out_of_memory_the_next_attempt_starts_at_once() -> None:
    tries = Attempts(made=1, ooms=1, failed_at=timestamp(NOW))
    assert isinstance(outcome(None, tries=tries), Start)


def test_a_spent_budget_with_a_usable_result_is_a_result() -> None:
    assert isinstance(outcome(JobState.FAILED, 15, RESULT), Done)
    nothing = Failure(code=15, reason="BudgetSpent", message="no round was finished")
    assert isinstance(outcome(JobState.FAILED, 15, nothing, reason="BudgetSpent"), GaveUp)


def test_a_missing_image_ends_it() -> None:
    found = outcome(JobState.STUCK, reason="ImageMissing")
    assert isinstance(found, GaveUp) and found.reason == "ImageMissing"


def test_the_next_attempt_waits_as_long_as_the_failures_say() -> None:
    tries = Attempts(made=2, failures=2, failed_at=timestamp(NOW))
    waiting = outcome(None, tries=tries, now=NOW + 19)
    assert isinstance(waiting, Wait) and waiting.until == NOW + 20
    assert isinstance(outcome(None, tries=tries, now=NOW + 20), Start)


def test_backoff_doubles_up_to_five_minutes() -> None:
    assert [backoff(n) for n in (1, 2, 3, 4, 5, 6, 60)] == [10, 20, 40, 80, 160, 300, 300]


def test_a_result_of_another_kind_is_no_crash() -> None:
    odd = AssessSummary.model_validate(
        {"assessment": {"format": "onnx", "sizeBytes": 1, "parameters": 1, "architecture": "x"}}
    )
    assert isinstance(outcome(JobState.SUCCEEDED, 0, odd), Done)
