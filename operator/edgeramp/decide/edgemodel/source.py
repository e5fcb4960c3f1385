"""Stage, then assess: once per set of sources. What was found is a fact in status; a failure touches nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from edgeramp.api.common import Attempts
from edgeramp.api.edgemodel import EdgeModelSpec, StagedFacts
from edgeramp.decide.edgemodel.context import Context
from edgeramp.decide.jobs import JobState
from edgeramp.decide.jobs_step import Again, Busy, Done, GaveUp, Start, Wait, Work, counted, look
from edgeramp.render.job import JobOrder
from edgeramp.report import ArtifactRef, AssessSpec, AssessSummary, Source, StageSpec, StageSummary
from edgeramp.values.names import short_hash
from edgeramp.values.quantities import epoch

SLOW_RETRY_SECONDS = 300.0
RECHECKED = (
    "SourceNotFound",
    "SourceUnavailable",
    "DeadlineExceeded",
    "ImageMissing",
    "OutOfMemory",
    "JobFailed",
)


@dataclass(frozen=True)
class SourceStep:
    """The facts now, and what is left to do: a Job to start, a Job to wait for, a moment to wait until."""

    facts: StagedFacts
    work: Work | None = None
    start: bool = False
    wait_until: float | None = None
    doing: str = ""
    waits: str = ""

    @property
    def ready(self) -> bool:
        """Staged and assessed."""
        return self.facts.assessment is not None


def source_key(spec: EdgeModelSpec) -> str:
    """The hash of everything that staging reads; another key is staged anew."""
    data = spec.evaluation.data
    return short_hash({"model": spec.source.wire(), "data": data.wire()}, 12)


def source_step(ctx: Context, retry: bool = False) -> SourceStep:
    """Take in what the Jobs found, then say what is left. `retry`: a failure is forgotten and tried again."""
    key = source_key(ctx.spec)
    have = ctx.model.status.staged
    facts = have if have and have.key == key else StagedFacts(key=key)
    if retry and facts.assessment is None:
        forgotten = {"failure": "", "failure_message": "", "tries": Attempts(made=facts.tries.made)}
        facts = facts.model_copy(update=forgotten)
    for _ in range(20):
        if facts.assessment is not None:
            return SourceStep(facts)
        rejected = facts.failure and facts.tries.failures == 0
        if rejected and facts.failure not in RECHECKED:
            return SourceStep(facts)
        work = _work(ctx, facts)
        outcome = look(work, ctx.jobs, ctx.now)
        slow = epoch(facts.tries.failed_at) + SLOW_RETRY_SECONDS if rejected else 0.0
        match outcome:
            case Start() if ctx.now < slow:
                return SourceStep(facts, work, wait_until=slow)
            case Start():
                return SourceStep(facts, work, start=True, doing=work.key)
            case Busy(job=job):
                waits = f" (the pod waits: {job.reason} {job.message})" if job.reason else ""
                return SourceStep(facts, work, doing=work.key, waits=waits)
            case Wait(until=until):
                return SourceStep(facts, work, wait_until=until)
            case _:
                facts = _taken_in(ctx, facts, outcome)
    return SourceStep(facts)


def unwanted(ctx: Context, step: SourceStep) -> list[tuple[str, str]]:
    """(name, uid) of Jobs that run for sources which nobody wants any more, and of failed ones but the newest."""
    name = step.work.name if step.work else ""
    others = [j for j in ctx.jobs.values() if j.name != name]
    alive = [j for j in others if j.state in (JobState.RUNNING, JobState.STUCK)]
    failed = sorted(
        (j for j in others if j.state is JobState.FAILED), key=lambda j: (j.finished_at or 0.0, j.name)
    )
    return sorted((j.name, j.uid) for j in [*alive, *failed[:-1]])


def _work(ctx: Context, facts: StagedFacts) -> Work:
    spec = _stage(ctx) if facts.model is None else _assess(ctx, facts)
    order = JobOrder(spec=spec, owner=ctx.owner, labels=ctx.labels)
    return Work(spec.verb, order, facts.tries, max_failures=None)


def _stage(ctx: Context) -> StageSpec:
    source, data = ctx.spec.source, ctx.spec.evaluation.data
    splits = {
        "calibration": data.calibration,
        "selection": data.selection,
        "certification": data.certification,
    }
    return StageSpec(
        run=ctx.run_ref,
        store=ctx.store,
        deadline_seconds=ctx.settings.job_deadline_seconds,
        model=Source(uri=source.uri, digest=source.digest),
        model_format=source.format,
        data={name: Source(uri=s.uri, digest=s.digest) for name, s in splits.items()},
    )


def _assess(ctx: Context, facts: StagedFacts) -> AssessSpec:
    assert facts.model
    return AssessSpec(
        run=ctx.run_ref,
        store=ctx.store,
        deadline_seconds=ctx.settings.job_deadline_seconds,
        model=ArtifactRef(digest=facts.model, format=ctx.spec.source.format),
        data={name: ArtifactRef(digest=digest) for name, digest in facts.data.items()},
    )


def _taken_in(ctx: Context, facts: StagedFacts, outcome: Done | Again | GaveUp) -> StagedFacts:
    match outcome:
        case Done(summary=StageSummary(model=model, data=data)):
            digests = {name: part.digest for name, part in sorted(data.items())}
            return StagedFacts(key=facts.key, model=model.digest, data=digests)
        case Done(summary=AssessSummary(assessment=assessment)):
            return StagedFacts(key=facts.key, model=facts.model, data=facts.data, assessment=assessment)
        case Done(job=job, summary=summary):
            return _failed(
                facts, counted(facts.tries, job, ctx.now, "BadSummary"), "BadSummary", summary.verb
            )
        case Again(job=job, tries=tries):
            return _failed(facts, tries, job.reason, job.message)
        case GaveUp(job=job, reason=reason, message=message):
            tries = counted(facts.tries, job, ctx.now, reason).model_copy(update={"failures": 0})
            return _failed(facts, tries, reason, message)


def _failed(facts: StagedFacts, tries: Attempts, reason: str, message: str) -> StagedFacts:
    update = {"tries": tries, "failure": reason[:256], "failure_message": message[:2048]}
    return facts.model_copy(update=update)
