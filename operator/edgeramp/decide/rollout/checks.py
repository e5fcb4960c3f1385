"""Checks with fixed thresholds in a ramp: which run, what their measurements come to, and what that means for the ramp.

A check that a step names runs at that step and must pass for the ramp to go on. Every other one runs in the background
from its startingStep on: it holds nothing back once it has an answer, and a failure rolls back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from edgeramp.api.checks import Check, CheckMeasurement, CheckRecord
from edgeramp.api.rollout import RampFacts, RolloutSpec
from edgeramp.decide.checks.accounting import Outcome, Rules, Tally, due_s, measured, outcome, verdict
from edgeramp.decide.decision import Action, Create
from edgeramp.decide.jobs import IMAGE_GRACE_SECONDS, belongs, waiting
from edgeramp.decide.rollout.course import Course, Hold, abort, because, ramp_of, ramp_with
from edgeramp.decide.rollout.strategy import steps_of
from edgeramp.decide.rollout.view import View
from edgeramp.decide.seen import Measurement, Object
from edgeramp.render.check import check_job, job_name
from edgeramp.values.quantities import duration, epoch, seconds, timestamp
from edgeramp.values.verdict import Verdict

NO_GUARANTEE = "A fixed threshold, without a guarantee."
KEPT = 10
JOB_LOOK_SECONDS = 30.0
_SHOWN = 64
_NOT_STARTING = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
}


def rules_of(check: Check, spec: RolloutSpec) -> Rules:
    """The limits of a check; maxDuration of the analysis is the deadline of one that has to pass."""
    return Rules(
        count=check.count or (None if check.interval else 1),
        interval_s=seconds(check.interval) if check.interval else None,
        initial_delay_s=seconds(check.initial_delay) if check.initial_delay else 0.0,
        failure_limit=check.failure_limit,
        inconclusive_limit=check.inconclusive_limit,
        consecutive_error_limit=check.consecutive_error_limit,
        deadline_s=seconds(spec.strategy.analysis.max_duration),
    )


def due(spec: RolloutSpec, ramp: RampFacts, now: float) -> tuple[Check, ...]:
    """The checks whose next measurement is to be made now, Jobs left out: what an observer has to ask for."""
    if ramp.aborted_at is not None or ramp.frozen_at is not None or spec.paused:
        return ()
    records = {r.name: r for r in ramp.checks}
    return tuple(
        check
        for check in running(spec, ramp)
        if check.job is None and check.name in records and _is_due(check, spec, records[check.name], now)
    )


def running(spec: RolloutSpec, ramp: RampFacts) -> Iterator[Check]:
    """The checks that run at the ramp's present step."""
    if ramp.skip_steps or ramp.promoted_full:
        return
    steps = steps_of(spec.strategy)
    named = {s.check for s in steps if s.check}
    here = steps[ramp.step].check if ramp.step < len(steps) else None
    for check in spec.strategy.checks:
        if check.name == here or (check.name not in named and check.starting_step <= ramp.step):
            yield check


def judge_checks(view: View, course: Course) -> Course:
    """The course with what the checks have measured; a failure ends the ramp."""
    if not course.active or course.first or ramp_of(course).frozen_at is not None:
        return course
    ramp = ramp_of(course)
    here = {check.name: check for check in running(view.spec, ramp)}
    known = {record.name: record for record in ramp.checks}
    records = [_ended(record) for name, record in known.items() if name not in here]
    records += [_looked(view, ramp, check, known.get(name)) for name, check in here.items()]
    course = ramp_with(course, checks=records[:8]) if records or ramp.checks else course
    failed = next((r for r in records if r.verdict is Verdict.FAIL and not _dry(here.get(r.name))), None)
    if failed is not None and failed.name in here:
        return abort(view, course, "RolledBack", "CheckFailed", f"Rolled back: {failed.message}")
    return because(course, "; ".join(f"check {r.name}: {r.verdict}" for r in records)) if records else course


def hold(view: View, course: Course, grows: bool) -> Hold | None:
    """What the checks say against leaving this step. One in the background stands against more weight only."""
    ramp, steps = ramp_of(course), view.steps
    here = steps[ramp.step].check if ramp.step < len(steps) else None
    records = {record.name: record for record in ramp.checks}
    for check in running(view.spec, ramp):
        record = records.get(check.name)
        if _dry(check) or (check.name != here and not grows):
            continue
        if record is None:  # it begins with the next look
            return Hold("CheckRunning", f"Holding: check {check.name} begins. {NO_GUARANTEE}", until=view.now)
        found = _stands(view, ramp, check, record, check.name == here)
        if found is not None:
            return found
    return None


def finished(ramp: RampFacts) -> RampFacts:
    """The ramp is over: a check that measured until then has its verdict, one that never could has none."""
    return ramp.model_copy(update={"checks": [_ended(record) for record in ramp.checks]})


def next_looks(view: View, course: Course) -> Iterator[float]:
    """When a measurement is due (epoch)."""
    if not course.active or course.first or ramp_of(course).frozen_at is not None:
        return
    ramp = ramp_of(course)
    records = {record.name: record for record in ramp.checks}
    for check in running(view.spec, ramp):
        record = records.get(check.name)
        if record is not None and record.job:
            yield view.now + JOB_LOOK_SECONDS  # its end wakes us, but an image that cannot be had does not
            continue
        at = view.now if record is None else due_s(rules_of(check, view.spec), _tally(record), view.now)
        if at is not None:
            yield at


def jobs(view: View, course: Course) -> tuple[Action, ...]:
    """The Jobs that are to run and do not yet."""
    if not course.active:
        return ()
    have = {job["metadata"]["name"] for job in view.seen.jobs}
    by_name = {check.name: check for check in view.spec.strategy.checks}
    wanted = [(r.job, by_name[r.name].job) for r in ramp_of(course).checks if r.job and r.name in by_name]
    return tuple(
        Create(check_job(view.ref, name, job)) for name, job in wanted if job is not None and name not in have
    )


def _looked(view: View, ramp: RampFacts, check: Check, record: CheckRecord | None) -> CheckRecord:
    """The record after this look; a new one where the check begins here, or a person went on in spite of it."""
    inline = any(s.check == check.name for s in view.steps)
    anew = (
        record is not None and record.step != ramp.step and (inline or record.verdict is Verdict.INCONCLUSIVE)
    )
    if record is None or anew:
        record = CheckRecord(
            name=check.name, step=ramp.step, verdict=Verdict.AWAITING_EVIDENCE, started_at=view.now
        )
    rules = rules_of(check, view.spec)
    if check.job is not None:
        record = _with_job(view, check, record)
    else:
        record = _with_answer(view, check, record)
    now = verdict(rules, _tally(record), view.now)
    told = _told(check, rules, record, now)
    return record.model_copy(update={"verdict": now, "message": told, "count": rules.count})


def _with_answer(view: View, check: Check, record: CheckRecord) -> CheckRecord:
    found = view.seen.measurements.get(check.name)
    if found is None or not _is_due(check, view.spec, record, found.at):
        return record
    if found.problem:
        return _counted(record, found, Outcome.ERROR, found.problem)
    what, why = outcome(check.success_condition, check.failure_condition, found.value)
    return _counted(record, found, what, why)


def _with_job(view: View, check: Check, record: CheckRecord) -> CheckRecord:
    if record.job:
        job = next((j for j in view.seen.jobs if j["metadata"]["name"] == record.job), None)
        said = _job_says(job, view.seen.check_pods, view.now) if job is not None else None
        if said is None:
            return record
        record = _counted(record, Measurement(view.now), *said)
        return record.model_copy(update={"job": ""})
    if not _is_due(check, view.spec, record, view.now):
        return record
    number = record.successful + record.failed + record.inconclusive + record.errors + 1
    return record.model_copy(update={"job": job_name(view.ref, check.name, record.started_at, number)})


def _job_says(job: Object, pods: tuple[Object, ...], now: float) -> tuple[Outcome, str] | None:
    """What a Job came to; None while it runs. One that cannot start, or ran out of time, says neither."""
    conditions = (job.get("status") or {}).get("conditions") or []
    true = {c["type"]: c for c in conditions if c.get("status") == "True"}
    if "Complete" in true:
        return Outcome.SUCCESSFUL, "the Job completed"
    if "Failed" in true:
        reason = str(true["Failed"].get("reason", ""))
        if reason == "DeadlineExceeded":
            return Outcome.INCONCLUSIVE, "the Job did not end within its timeout"
        return Outcome.FAILED, f"the Job failed ({reason})" if reason else "the Job failed"
    age = now - epoch(job["metadata"]["creationTimestamp"]) if "creationTimestamp" in job["metadata"] else 0.0
    reasons = (waiting(pod)[0] for pod in pods if belongs(pod, job["metadata"]))
    found = next((reason for reason in reasons if reason in _NOT_STARTING), "")
    if found and age >= IMAGE_GRACE_SECONDS:
        return Outcome.INCONCLUSIVE, f"the Job cannot start: {found}"
    return None


def _counted(record: CheckRecord, found: Measurement, what: Outcome, why: str) -> CheckRecord:
    tally = measured(_tally(record), what, found.at)
    shown = "" if found.problem or found.value is None else json.dumps(found.value, default=str)[:_SHOWN]
    made = CheckMeasurement(at=timestamp(found.at), outcome=what.value, value=shown, message=why[:256])
    counts = {name: value for name, value in asdict(tally).items() if not name.endswith("_s")}
    kept = [*record.measurements, made][-KEPT:]
    return record.model_copy(update={**counts, "last_at": found.at, "measurements": kept})


def _tally(record: CheckRecord) -> Tally:
    return Tally(
        started_s=record.started_at,
        last_s=record.last_at,
        successful=record.successful,
        failed=record.failed,
        inconclusive=record.inconclusive,
        errors=record.errors,
        consecutive_errors=record.consecutive_errors,
        no_data=record.no_data,
    )


def _is_due(check: Check, spec: RolloutSpec, record: CheckRecord, now: float) -> bool:
    at = due_s(rules_of(check, spec), _tally(record), now)
    return at is not None and now >= at


def _ended(record: CheckRecord) -> CheckRecord:
    """What a check that runs no more came to: without any success, or in the middle, it is Inconclusive."""
    if record.verdict not in (Verdict.AWAITING_EVIDENCE, Verdict.ERROR):
        return record
    held_out = record.count is None and record.successful > 0 and record.verdict is Verdict.AWAITING_EVIDENCE
    return record.model_copy(
        update={"verdict": Verdict.PASS if held_out else Verdict.INCONCLUSIVE, "job": ""}
    )


def _dry(check: Check | None) -> bool:
    return check is not None and check.dry_run


def _stands(view: View, ramp: RampFacts, check: Check, record: CheckRecord, inline: bool) -> Hold | None:
    tally = _tally(record)
    match record.verdict:
        case Verdict.PASS | Verdict.FAIL:
            return None
        case Verdict.ERROR:
            return Hold(
                "EvidenceUnavailable", f"Holding: {record.message}", "goes on when it can be measured"
            )
        case Verdict.INCONCLUSIVE:
            return Hold("Inconclusive", f"Paused: {record.message}",
                        f"a person decides: promote={ramp.revision}/{ramp.step + 1} or abort", paused=True)  # fmt: skip
        case Verdict.AWAITING_EVIDENCE:
            if not inline and tally.counted:
                return None
            until = due_s(rules_of(check, view.spec), tally, view.now)
            return Hold(
                "CheckRunning", f"Holding: {record.message}", "goes on when the check has passed", until=until
            )


def _told(check: Check, rules: Rules, record: CheckRecord, now: Verdict) -> str:
    """One sentence with the counts and the rule, and what it is worth."""
    of = f" of {rules.count}" if rules.count is not None else ""
    end = "" if rules.count is not None else f", every {duration(rules.interval_s or 0)} until the ramp ends"
    parts = [
        f"{record.failed} failed (failureLimit {rules.failure_limit})",
        f"{record.inconclusive} inconclusive ({rules.inconclusive_limit})",
        f"{record.consecutive_errors} errors in a row ({rules.consecutive_error_limit})",
    ]
    if record.no_data:
        parts.append(f"{record.no_data} without data")
    dry = " (dry run: no effect)" if check.dry_run else ""
    return (
        f"check {check.name}{dry}: {now}, {record.successful} successful{of} measurements{end}, {', '.join(parts)}"
        f"{_last(check, record)}. {NO_GUARANTEE}"
    )[:2048]


def _last(check: Check, record: CheckRecord) -> str:
    if not record.measurements:
        return ""
    last = record.measurements[-1]
    rule = " and ".join(
        f"{word} is {text}"
        for word, text in (("success", check.success_condition), ("failure", check.failure_condition))
        if text
    )
    value = f" {last.value}" if last.value else ""
    why = f" ({last.message})" if last.message else ""
    return f"; last: {last.outcome}{value}{why}" + (f", {rule}" if rule else "")
