"""Rollback by request: an earlier revision is wanted in place of what the spec says, until the spec says something else.

The spec is not rewritten: an EdgeModel or a GitOps tool owns it and would write it again at once (docs/adr/0012). Whom the
annotation names must still be kept (`rollbackWindow`), so its Deployment tells all that is needed to serve it."""

from __future__ import annotations

from dataclasses import replace

from edgeramp.api.rollout import Pin, RolloutSpec, ServedRevision
from edgeramp.decide.rollout.choose import GOOD, last_of
from edgeramp.decide.rollout.course import Course, on_request, told
from edgeramp.decide.rollout.verbs import PAUSED, noted, refused, writer
from edgeramp.decide.rollout.view import View
from edgeramp.values import names
from edgeramp.values.quantities import timestamp

_VERB = "rollback"


def rollback(view: View, course: Course) -> tuple[View, Course]:
    """What is wanted, and the course with the order answered."""
    asked_for = view.wanted.revision
    pin = course.pinned
    if pin is not None and pin.instead_of != asked_for:
        note = f"The spec asks for {asked_for} now: the rollback to {pin.served.revision} is over."
        course = told(replace(course, pinned=None), "Normal", "RollbackOver", note)
    course = _obey(view, course, asked_for)
    if course.pinned is None:
        return view, course
    return replace(
        view, spec=_as_served(view.spec, course.pinned.served), wanted=course.pinned.served
    ), course


def _obey(view: View, course: Course, asked_for: str) -> Course:
    value = view.annotations.get(names.ANNOTATION_ROLLBACK)
    if value is None:
        return course
    course = replace(course, cleared=(*course.cleared, names.ANNOTATION_ROLLBACK))
    revision, by = value.partition("/")[0], writer(view, names.ANNOTATION_ROLLBACK)
    served = _kept(view, course, revision)
    refusal = _refusal(view, course, revision, asked_for, served)
    if refusal:
        return refused(view, course, _VERB, value, by, refusal)
    whom = on_request(by)
    if revision == asked_for or served is None:
        note = f"Revision {asked_for} of the spec is wanted again, {whom}."
        course = replace(course, pinned=None)
    else:
        note = f"Rollback to revision {revision} {whom}, until the spec asks for another than {asked_for}."
        pin = Pin(served=served, instead_of=asked_for, by=by[:256], at=timestamp(view.now))
        course = replace(course, pinned=pin)
    return told(noted(view, course, _VERB, value, by, True, note), "Normal", "RollbackRequested", note)


def _kept(view: View, course: Course, revision: str) -> ServedRevision | None:
    """All that it takes to serve `revision` again; None where that is not kept."""
    if course.stable is not None and course.stable.revision == revision:
        return course.stable
    return view.of(revision).served


def _refusal(view: View, course: Course, revision: str, asked_for: str, served: ServedRevision | None) -> str:
    """Why it cannot be gone back to; "" when it can."""
    wanted = course.pinned.served.revision if course.pinned else asked_for
    stable = course.stable.revision if course.stable else ""
    if view.spec.paused:
        return PAUSED
    if revision == wanted:
        return f"{revision} serves already" if revision == stable else f"{revision} is on its way already"
    if revision in (asked_for, stable):
        return ""
    last = last_of(course.history, revision)
    if last is None:
        return f"{revision} was never promoted here; status.history has those that were"
    if last.outcome not in GOOD:
        return f"{revision} was given up ({last.outcome} at {last.finished_at})"
    if served is None:
        kept = view.spec.rollback_window.revisions
        return f"{revision} is not kept any more (rollbackWindow.revisions is {kept}); write its artifact in the spec"
    return ""


def _as_served(spec: RolloutSpec, served: ServedRevision) -> RolloutSpec:
    """The spec as it would be for `served`. An override on record goes with its artifact."""
    server = {
        "framework": served.framework,
        "precision": served.precision,
        "model_name": served.model_name,
        "image": served.image,
    }
    target = {"node_selector": served.node_selector, "resources": served.resources}
    return spec.model_copy(
        update={
            "artifact": served.artifact,
            "server": spec.server.model_copy(update=server),
            "target": spec.target.model_copy(update=target),
            "allow_uncertified": served.allowed,
        }
    )
