"""Which revision is on its way: a new ramp, the same one, back to stable, or one that was given up before."""

from __future__ import annotations

from dataclasses import replace

from edgeramp.api.rollout import HistoryEntry
from edgeramp.decide.rollout.admission import OVERRIDDEN
from edgeramp.decide.rollout.course import Course, begin, ramp_with, retire, superseded, told
from edgeramp.decide.rollout.view import View
from edgeramp.render.server import CPU_FEATURE, server_image
from edgeramp.values import names
from edgeramp.values.quantities import epoch

GOOD = ("Promoted", "FastPromoted")
GIVEN_UP = ("Aborted", "RolledBack")


def adopt(view: View, course: Course) -> Course:
    """A status that was lost (a restored backup): what the route's first place serves is stable, by its Deployment."""
    if course.stable is not None or course.ramp is not None or not view.route.split:
        return course
    service = view.route.split[0].service
    found = next((s.served for r, s in view.servers.items() if view.ref.object_name(r) == service), None)
    if found is None:
        return course
    note = f"Revision {found.revision} serves already and is taken as stable; the status knew of none."
    return told(replace(course, stable=found), "Normal", "Adopted", note)


def choose(view: View, course: Course) -> Course:
    """The course towards what the spec wants now."""
    wanted = view.wanted
    if course.stable is not None and wanted.revision == course.stable.revision:
        return _back_to_stable(view, course)
    if course.ramp is not None and course.ramp.revision == wanted.revision:
        return course
    if course.active:
        old = course.candidate.revision if course.candidate else ""
        course = superseded(
            view, course, f"Superseded: {old} gave way to {wanted.revision} at {_weight(view, old)} %."
        )
    return _start(view, course)


def certify(view: View, course: Course) -> Course:
    """The candidate with what its certificate says; labels are asked for only where nodes carry such labels."""
    admission, candidate = view.admission, course.candidate
    if not course.active or candidate is None or admission is None or admission.admitted is not True:
        return course
    labels = (label for node in view.seen.nodes for label in node.get("metadata", {}).get("labels") or {})
    labelled = any(label.startswith(CPU_FEATURE) for label in labels)
    settings = view.seen.settings
    changes = {
        "certificate": admission.certificate,
        "isa": list(admission.isa) if labelled else [],
        "allowed": view.spec.allow_uncertified if admission.reason == OVERRIDDEN else None,
        "server_image": candidate.server_image or server_image(candidate, settings),
        "fetch_image": candidate.fetch_image or settings.image("courier"),
    }
    return replace(course, candidate=candidate.model_copy(update=changes))


def _start(view: View, course: Course) -> Course:
    wanted = view.wanted
    last = last_of(course.history, wanted.revision)
    skip = in_window(view, course) or _still_up(view, course)
    course = begin(view, course, skip_steps=skip)
    if last is not None and last.outcome in GIVEN_UP:
        course = ramp_with(
            course,
            aborted_at=epoch(last.finished_at),
            abort_reason=last.outcome,
            abort_message=last.message,
        )
        note = (
            f"Revision {wanted.revision} was given up before ({last.outcome} at {last.finished_at}) and is not tried again"
            f" by itself; the annotation {names.ANNOTATION_RETRY}={wanted.revision}/1 does."
        )
        return told(retire(course, course.candidate, view.now, 0), "Warning", "GivenUpBefore", note)
    if course.first:
        return told(
            course,
            "Normal",
            "Started",
            f"First revision {wanted.revision}: to 100 % as soon as it is available.",
        )
    steps = "no steps, it was promoted before" if skip else _way(view)
    return told(course, "Normal", "Started", f"Ramp to revision {wanted.revision} began: {steps}.")


def _way(view: View) -> str:
    return "blue-green" if view.spec.strategy.blue_green is not None else f"{len(view.steps)} steps"


def _still_up(view: View, course: Course) -> bool:
    """Blue-green's way back: whether the wanted revision was stable until just now and has all its pods still."""
    wanted, last = view.wanted.revision, last_of(course.history, view.wanted.revision)
    good = last is not None and last.outcome in GOOD
    kept = any(r.revision == wanted for r in course.retiring)
    return (
        view.spec.strategy.blue_green is not None
        and good
        and kept
        and view.of(wanted).ready >= max(1, view.spec.replicas)
    )


def _back_to_stable(view: View, course: Course) -> Course:
    if course.ramp is None:
        return course
    if course.active:
        old = course.ramp.revision
        return superseded(
            view, course, f"Back to stable {view.wanted.revision} from {old} at {_weight(view, old)} %."
        )
    return replace(course, ramp=None, candidate=None)


def _weight(view: View, revision: str) -> int:
    return view.weight(revision)


def last_of(history: tuple[HistoryEntry, ...], revision: str) -> HistoryEntry | None:
    """The last outcome of a revision; being superseded says nothing about it."""
    return next((h for h in reversed(history) if h.revision == revision and h.outcome != "Superseded"), None)


def in_window(view: View, course: Course) -> bool:
    """Whether the wanted revision is among the last promoted ones before stable: then it needs no steps."""
    promoted: list[str] = []
    for entry in reversed(course.history):
        known = entry.revision in promoted or (course.stable and entry.revision == course.stable.revision)
        last = last_of(course.history, entry.revision)
        if entry.outcome in GOOD and not known and last is not None and last.outcome in GOOD:
            promoted.append(entry.revision)
    return view.wanted.revision in promoted[: view.spec.rollback_window.revisions]
