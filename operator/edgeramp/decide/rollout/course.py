"""The course of a Rollout while a decision is made: facts that change from stage to stage, never in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from edgeramp.api.rollout import (
    HistoryEntry,
    MetricFinding,
    Pin,
    RampFacts,
    Retiring,
    RolloutStatus,
    ServedRevision,
    StepRecord,
    VerbRecord,
)
from edgeramp.decide.decision import Event
from edgeramp.decide.rollout.view import View
from edgeramp.values.quantities import duration, timestamp
from edgeramp.values.verdict import Verdict

SCALE_DOWN_SECONDS = 30
"""How long the pods of a former stable revision are kept after its successor was promoted."""

Outcome = Literal["Promoted", "FastPromoted", "Aborted", "Superseded", "RolledBack"]
MAX_WEIGHTS, MAX_VERBS, MAX_HISTORY, MAX_RETIRING = 40, 20, 20, 20


@dataclass(frozen=True)
class Hold:
    """Why the ramp does not move now, and what happens next. `paused`: it waits for somebody or for a time.
    `until` (epoch) is when to look again at the latest."""

    reason: str
    message: str
    next: str = ""
    paused: bool = False
    until: float | None = None


@dataclass(frozen=True)
class Course:
    """`stable` serves; `candidate` and `ramp` belong together and stay after an abort, as the record of it;
    `promoted_ramp` is the judged ramp that made stable what it is, until the next one begins. `pinned` is wanted in place
    of what the spec says."""

    stable: ServedRevision | None = None
    candidate: ServedRevision | None = None
    ramp: RampFacts | None = None
    promoted_ramp: RampFacts | None = None
    pinned: Pin | None = None
    plan: str = ""
    route_ordered_at: float | None = None
    retiring: tuple[Retiring, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    weights: tuple[StepRecord, ...] = ()
    verbs: tuple[VerbRecord, ...] = ()
    events: tuple[Event, ...] = ()
    hold: Hold | None = None
    verdict: Verdict | None = None
    findings: tuple[MetricFinding, ...] = ()
    evidence: str = ""
    deadline: float | None = None
    said: str = ""
    cleared: tuple[str, ...] = ()
    why: tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        """A ramp runs: started and neither aborted nor done."""
        return self.ramp is not None and self.ramp.aborted_at is None

    @property
    def first(self) -> bool:
        """Nothing is stable yet: there is nothing to compare with and nothing to go back to."""
        return self.stable is None


Stage = Callable[[View, Course], Course]


def from_status(status: RolloutStatus) -> Course:
    """The facts as recorded. What was found about a ramp that failed stays to be read."""
    over = status.ramp is not None and status.ramp.aborted_at is not None
    return Course(
        verdict=status.verdict if over else None,
        findings=tuple(status.findings) if over else (),
        stable=status.stable,
        candidate=status.candidate,
        ramp=status.ramp,
        promoted_ramp=status.promoted_ramp,
        pinned=status.pinned,
        plan=status.plan if status.ramp is not None else "",
        route_ordered_at=status.route_ordered_at,
        retiring=tuple(status.retiring),
        history=tuple(status.history),
        weights=tuple(status.weights),
        verbs=tuple(status.verbs),
    )


def ramp_of(course: Course) -> RampFacts:
    """The ramp; only where `course.ramp` is known to be there."""
    if course.ramp is None:
        raise AssertionError("no ramp")
    return course.ramp


def ramp_with(course: Course, **changes: Any) -> Course:
    """The course with some facts of its ramp changed."""
    return replace(course, ramp=ramp_of(course).model_copy(update=changes))


def told(course: Course, kind: Literal["Normal", "Warning"], reason: str, note: str) -> Course:
    """One more event; the notes together are the decision's message."""
    said = f"{course.said} {note}".strip()
    return replace(course, events=(*course.events, Event(kind, reason, note[:1000])), said=said)


def on_request(by: str) -> str:
    """For a sentence: that somebody asked for it, and who, where that is known."""
    return f"by request of {by}" if by else "by request"


def because(course: Course, why: str) -> Course:
    """One more line for `edgeramp explain`."""
    return replace(course, why=(*course.why, why))


def held(course: Course, hold: Hold) -> Course:
    """The course with the reason why it stands; the first reason found stays."""
    return course if course.hold else replace(course, hold=hold, why=(*course.why, f"hold: {hold.reason}"))


def begin(view: View, course: Course, skip_steps: bool) -> Course:
    """A new ramp to what the spec wants."""
    now, wanted = view.now, view.wanted
    ramp = RampFacts(
        revision=wanted.revision, started_at=now, step_started_at=now, skip_steps=skip_steps or course.first
    )
    return replace(
        course,
        candidate=wanted,
        ramp=ramp,
        promoted_ramp=None,
        plan="",
        retiring=tuple(r for r in course.retiring if r.revision != wanted.revision),
    )


def recorded(view: View, course: Course, outcome: Outcome, message: str) -> Course:
    """The ramp's outcome added to the history."""
    ramp, candidate = ramp_of(course), course.candidate or view.wanted
    entry = HistoryEntry(
        revision=ramp.revision,
        artifact=candidate.artifact,
        framework=candidate.framework,
        precision=candidate.precision,
        certificate=candidate.certificate,
        outcome=outcome,
        started_at=timestamp(ramp.started_at),
        finished_at=timestamp(view.now),
        took=duration(view.now - ramp.started_at),
        message=message[:2048],
    )
    return replace(course, history=(*course.history, entry)[-MAX_HISTORY:])


def retire(course: Course, served: ServedRevision | None, now: float, seconds: int | None) -> Course:
    """`served` has lost its traffic; its pods stay for `seconds` more (None: as long as nothing replaces them)."""
    if served is None:
        return course
    entry = Retiring(revision=served.revision, since=now, seconds=seconds, served=served)
    others = tuple(r for r in course.retiring if r.revision != served.revision)
    return replace(course, retiring=(*others, entry)[-MAX_RETIRING:])


def abort(view: View, course: Course, outcome: Outcome, reason: str, message: str) -> Course:
    """The ramp ends without success: weight 0 at once; the candidate's pods go after the delay of the spec."""
    delay = view.spec.abort_scale_down_delay_seconds
    course = recorded(view, course, outcome, message)
    course = ramp_with(
        course,
        aborted_at=view.now,
        abort_reason=reason,
        abort_message=message[:2048],
        waiting_since=None,
        frozen_at=None,
    )
    course = retire(course, course.candidate, view.now, delay if delay > 0 else None)
    return told(weighed(course, 0, view.now, message), "Warning", outcome, message)


def superseded(view: View, course: Course, message: str) -> Course:
    """The spec has moved on: the candidate loses its traffic and its pods."""
    course = recorded(view, course, "Superseded", message)
    course = retire(course, course.candidate, view.now, 0)
    course = weighed(course, 0, view.now, message)
    return told(replace(course, ramp=None, candidate=None), "Normal", "Superseded", message)


def weighed(course: Course, weight: int, now: float, message: str) -> Course:
    """The order of a new weight on record, with its reason; the same weight again is no order."""
    ramp = course.ramp
    if ramp is None or ramp.weight_ordered == weight:
        return course
    record = StepRecord(weight=weight, at=timestamp(now), message=message[:2048])
    course = replace(course, weights=(*course.weights, record)[-MAX_WEIGHTS:])
    return ramp_with(course, weight_ordered=weight, weight_ordered_at=now)
