"""One-time verbs asked for by annotation: `<revision>/<step>`. Done or refused, they are cleared and recorded.

The status with the record is written before the annotation is cleared. A crash in between shows the same annotation
again: what it asked for is then illegal or done already, and a record of it exists, so it is cleared without a word.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgeramp.api.rollout import VerbRecord
from edgeramp.decide.rollout.course import (
    MAX_VERBS,
    Course,
    abort,
    begin,
    on_request,
    ramp_of,
    ramp_with,
    told,
)
from edgeramp.decide.rollout.standstill import standstill
from edgeramp.decide.rollout.steps import entered, step_text
from edgeramp.decide.rollout.view import View
from edgeramp.values import names
from edgeramp.values.quantities import epoch, timestamp

PAUSED = "spec.paused is true; set it to false first (edgeramp resume)"
"""Why an order that would move traffic is refused."""


@dataclass(frozen=True)
class Asked:
    """A verb as written: `revision/step`, where the step may be left out for all but promote. Steps count from 1.
    `by`: see writer."""

    verb: str
    value: str
    revision: str
    step: int | None
    by: str


def apply_verbs(view: View, course: Course) -> Course:
    """The course after all verbs on the object; abort comes first."""
    for annotation in names.VERB_ANNOTATIONS:
        value = view.annotations.get(annotation)
        if value is None:
            continue
        verb = annotation.partition("/")[2]
        course = replace(course, cleared=(*course.cleared, annotation))
        by = writer(view, annotation)
        asked = _parsed(verb, value, by)
        refusal = _refusal(view, course, asked) if asked else "write <revision>/<step>, as shown in status"
        if refusal or asked is None:
            course = refused(view, course, verb, value, by, refusal)
            continue
        course = noted(view, course, verb, value, by, True, f"{verb} at step {_at(view, course)}")
        course = _do(view, course, asked)
    return course


def writer(view: View, annotation: str) -> str:
    """The field manager that owns the annotation (metadata.managedFields): a client's word, not a proof."""
    for entry in view.seen.rollout["metadata"].get("managedFields") or []:
        of_metadata = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
        if f"f:{annotation}" in (of_metadata.get("f:annotations") or {}):
            return str(entry.get("manager") or "")
    return ""


def _parsed(verb: str, value: str, by: str) -> Asked | None:
    revision, _, step = value.partition("/")
    if not revision or (step and not step.isdigit()):
        return None
    return Asked(verb, value, revision, int(step) if step else None, by)


def _refusal(view: View, course: Course, asked: Asked) -> str:
    """Why the verb cannot be done now; "" when it can."""
    ramp = course.ramp
    if ramp is None:
        return "no ramp is running"
    if asked.revision != ramp.revision:
        return f"the candidate is {ramp.revision}"
    if asked.verb == "retry":
        return "" if ramp.aborted_at is not None else "the ramp was not aborted"
    if ramp.aborted_at is not None:
        return "the ramp was aborted already; use retry"
    if course.first:
        return "this is the first revision: there are no steps and nothing to go back to"
    if asked.verb == "abort":
        return ""
    if view.spec.paused:
        return PAUSED
    still = standstill(view, course)
    if still is not None:
        return f"{still.message}; {still.next}"
    at, last = ramp.step + 1, len(view.steps) + 1
    if asked.verb == "promote-full":
        stale = asked.step is not None and asked.step != at
        return f"the ramp is at step {at} now" if stale else _already_full(course)
    if asked.step is None:
        return f"name the step to leave: {ramp.revision}/{at}"
    if asked.step != at:
        return f"the ramp is at step {at} now"
    return "there is no further step" if at >= last else _already_full(course)


def _already_full(course: Course) -> str:
    ramp = ramp_of(course)
    return "it goes to 100 % already" if ramp.promoted_full or ramp.skip_steps else ""


def _do(view: View, course: Course, asked: Asked) -> Course:
    ramp = ramp_of(course)
    match asked.verb:
        case "abort":
            weight = view.weight(ramp.revision)
            return abort(
                view,
                course,
                "Aborted",
                "Aborted",
                f"Aborted {on_request(asked.by)} at {weight} %, step {_at(view, course)}.",
            )
        case "retry":
            fresh = begin(view, course, skip_steps=False)
            fresh = ramp_with(fresh, attempt=ramp.attempt + 1)
            return told(
                fresh, "Normal", "Retried", f"Ramp to revision {ramp.revision} began again, from the start."
            )
        case "promote-full":
            course = ramp_with(course, promoted_full=True)
            course = entered(view, course, len(view.steps))
            return told(
                course,
                "Normal",
                "PromotedInFull",
                f"Revision {ramp.revision} goes to 100 % {on_request(asked.by)}, without analysis.",
            )
        case _:
            left = _at(view, course)
            course = entered(view, course, ramp.step + 1)
            return told(
                course,
                "Normal",
                "StepPromoted",
                f"Step {left} was left {on_request(asked.by)}; now at {_at(view, course)}.",
            )


def _at(view: View, course: Course) -> str:
    return step_text(view.steps, ramp_of(course).step) if course.ramp else ""


def refused(view: View, course: Course, verb: str, value: str, by: str, why: str) -> Course:
    """The order on record as refused, with an event; nothing where the same was done before."""
    if _done_before(course, verb, value):
        return course
    note = f"Refused {verb} {value}: {why}."
    return told(noted(view, course, verb, value, by, False, note), "Warning", "VerbRefused", note)


def _done_before(course: Course, verb: str, value: str) -> bool:
    """Whether this attempt of the ramp has seen the same order done: times on record are whole seconds."""
    since = int(course.ramp.started_at) if course.ramp else 0
    return any(
        r.verb == verb and r.value == value and r.accepted and epoch(r.at) >= since for r in course.verbs
    )


def noted(view: View, course: Course, verb: str, value: str, by: str, accepted: bool, message: str) -> Course:
    """The order on record, with what came of it."""
    record = VerbRecord(
        verb=verb,
        value=value[:256],
        by=by[:256],
        accepted=accepted,
        message=message[:2048],
        at=timestamp(view.now),
    )
    return replace(course, verbs=(*course.verbs, record)[-MAX_VERBS:])
