"""One step of work done by a Job: start it, wait for it, try it again after a while, take its result, or give it up.

What is decided depends on the facts in status (`Attempts`) and on the Jobs seen, never on which events arrived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgeramp.api.common import Attempts
from edgeramp.decide.jobs import JobState, JobView
from edgeramp.render.job import JobOrder
from edgeramp.report import ExitCode, Failure, Summary
from edgeramp.values.quantities import epoch, timestamp

BACKOFF_SECONDS = 10.0
BACKOFF_CAP_SECONDS = 300.0
MAX_OOMS = 2  # the second attempt has half again the memory


@dataclass(frozen=True)
class Work:
    """A Job that is wanted for `key` (a candidate's id, or the verb). `max_failures` None: never given up."""

    key: str
    order: JobOrder
    tries: Attempts
    max_failures: int | None = 2

    @property
    def current(self) -> JobOrder:
        """The order of the attempt at hand."""
        return replace(self.order, attempt=self.tries.made + 1, ooms=self.tries.ooms)

    @property
    def name(self) -> str:
        return self.current.name


@dataclass(frozen=True)
class Start:
    """No Job of that name yet: create it."""


@dataclass(frozen=True)
class Busy:
    """The Job runs, or waits for a node or an image."""

    job: JobView


@dataclass(frozen=True)
class Wait:
    """The last attempt failed a moment ago."""

    until: float


@dataclass(frozen=True)
class Done:
    """The Job handed back its result."""

    job: JobView
    summary: Summary


@dataclass(frozen=True)
class Again:
    """An attempt failed in a way that another may not; `tries` counts it."""

    job: JobView
    tries: Attempts


@dataclass(frozen=True)
class GaveUp:
    """It will not be tried again as it is."""

    job: JobView
    reason: str
    message: str


Outcome = Start | Busy | Wait | Done | Again | GaveUp


def look(work: Work, jobs: Mapping[str, JobView], now: float) -> Outcome:
    """What is to be done about `work`."""
    job = jobs.get(work.name)
    if job is None:
        until = retry_at(work.tries)
        return Wait(until) if now < until else Start()
    match job.state:
        case JobState.RUNNING:
            return Busy(job)
        case JobState.STUCK:
            return GaveUp(job, job.reason, job.message)
        case JobState.SUCCEEDED if job.summary is not None:
            return Done(job, job.summary)
        case _:
            return _failed(work, job, now)


def retry_at(tries: Attempts) -> float:
    """When the next attempt may start: doubling from ten seconds after the last transient failure, at once otherwise."""
    if not tries.failed_at or not tries.failures:
        return 0.0
    return epoch(tries.failed_at) + backoff(tries.failures)


def backoff(failures: int) -> float:
    """Seconds to wait after that many failures in a row: 10, 20, 40, … at most 300."""
    return min(BACKOFF_CAP_SECONDS, BACKOFF_SECONDS * 2.0 ** min(failures - 1, 10))


def voided(tries: Attempts, job: JobView, now: float, reason: str) -> Attempts:
    """One more measurement that was disturbed; the next may start at once."""
    return counted(tries, job, now, reason).model_copy(update={"voids": tries.voids + 1})


def counted(tries: Attempts, job: JobView, now: float, reason: str) -> Attempts:
    """`tries` with this attempt ended; which counter moves is the caller's choice."""
    ended = timestamp(job.finished_at if job.finished_at is not None else now)
    return tries.model_copy(update={"made": tries.made + 1, "failed_at": ended, "reason": reason[:256]})


def _failed(work: Work, job: JobView, now: float) -> Outcome:
    usable = job.summary is not None and not isinstance(job.summary, Failure)
    if job.exit_code == ExitCode.BUDGET_SPENT and usable and job.summary is not None:
        return Done(job, job.summary)
    after = counted(work.tries, job, now, job.reason)
    if job.out_of_memory:
        after = after.model_copy(update={"ooms": work.tries.ooms + 1})
        return Again(job, after) if after.ooms < MAX_OOMS else GaveUp(job, job.reason, _memory_message(job))
    if not job.transient:
        return GaveUp(job, job.reason, job.message)
    after = after.model_copy(update={"failures": work.tries.failures + 1})
    if work.max_failures is not None and after.failures >= work.max_failures:
        return GaveUp(job, job.reason, f"{job.message} (tried {after.failures} times)")
    return Again(job, after)


def _memory_message(job: JobView) -> str:
    return f"{job.message}; a second attempt with half again the memory ended the same way"
