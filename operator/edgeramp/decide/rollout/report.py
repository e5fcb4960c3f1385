"""What people and tools read: phase, conditions, one sentence now, one about what is next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeramp.api.common import Condition
from edgeramp.api.rollout import Pin, RolloutStatus
from edgeramp.decide.conditions import condition, find, merged
from edgeramp.decide.rollout import beside, preview
from edgeramp.decide.rollout.course import Course, Hold, on_request
from edgeramp.decide.rollout.steps import step_text
from edgeramp.decide.rollout.view import View
from edgeramp.values import names

Phase = Literal["Progressing", "Paused", "Healthy", "Degraded"]
DEGRADING = ("ProgressDeadlineExceeded", "NotAdmitted", "RouteNotAccepted")
WORTH_AN_EVENT = (
    "PauseStep", "Paused", "Frozen", "WindowClosed", "Inconclusive", "EvidenceUnavailable", "GatewayMissing", "RouteNotAccepted",
    "ProgressDeadlineExceeded", "NotAdmitted",
)  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """Derived from the course; no code reads it back."""

    phase: Phase
    reason: str
    message: str
    next: str


def summary(view: View, course: Course) -> Summary:
    """Phase and sentence of now."""
    if course.ramp is not None and course.ramp.aborted_at is not None:
        return _given_up(view, course)
    if course.active:
        return _ramping(view, course)
    stable = course.stable
    weight = view.weight(stable.revision) if stable else 0
    ready = view.of(stable.revision).ready if stable else 0
    if stable and view.spec.replicas > 0 and ready == 0:
        trouble = view.of(stable.revision).trouble or "no replica is ready"
        return Summary(
            "Degraded",
            "StableUnavailable",
            f"Revision {stable.revision} cannot serve: {trouble}.",
            "recovers by itself when a replica is ready",
        )
    if stable and weight != 100:
        return Summary(
            "Progressing",
            "SettingWeight",
            course.said or f"Revision {stable.revision} gets all requests.",
            "",
        )
    name = stable.revision if stable else view.wanted.revision
    if course.pinned is not None and stable:
        text = f"Revision {name} serves 100 % of the requests. {_pinned(course.pinned)}"
        following = f"stays so until the spec changes, or edgeramp rollback --to {course.pinned.instead_of}"
        return Summary("Healthy", "Healthy", text, following)
    text = course.said or f"Revision {name} serves 100 % of the requests."
    kept = view.status.message if view.status.phase == "Healthy" and not course.said else text
    return Summary("Healthy", "Healthy", kept or text, "nothing to do")


def _pinned(pin: Pin) -> str:
    return (
        f"Rolled back {on_request(pin.by)} to {pin.served.revision} in place of the spec's {pin.instead_of}."
    )


def _ramping(view: View, course: Course) -> Summary:
    hold = course.hold or Hold("Ramping", "")
    phase: Phase = "Paused" if hold.paused else "Degraded" if hold.reason in DEGRADING else "Progressing"
    return Summary(phase, hold.reason, course.said or hold.message or view.status.message, hold.next)


def _given_up(view: View, course: Course) -> Summary:
    ramp = course.ramp
    if ramp is None:
        raise AssertionError("no ramp")
    retry = f"a new artifact, or the annotation {names.ANNOTATION_RETRY}={ramp.revision}/{ramp.step + 1}"
    following = f"stays so until {retry}"
    if view.weight(ramp.revision) > 0 and course.stable and view.of(course.stable.revision).ready == 0:
        following = f"traffic moves when a replica of {course.stable.revision} is ready; then it {following}"
    return Summary("Degraded", ramp.abort_reason, ramp.abort_message or course.said, following)


def conditions(view: View, course: Course, said: Summary) -> list[Condition]:
    """All conditions of now."""
    have = view.status.conditions
    made = [
        ("Ready", said.phase == "Healthy", said.reason, said.message),
        _available(view, course),
        ("Progressing", course.active and said.phase != "Degraded", said.reason, said.message),
        (
            "Paused",
            said.phase == "Paused",
            said.reason if said.phase == "Paused" else "NotPaused",
            said.message if said.phase == "Paused" else "",
        ),
        _admitted(view),
        _promoted(view, course, said),
        (
            "Stalled",
            said.phase == "Degraded" and said.reason != "StableUnavailable",
            said.reason,
            said.message,
        ),
        ("Reconciling", said.phase in ("Progressing", "Paused"), said.reason, said.message),
    ]
    return merged(
        have,
        [
            condition(kind, state, reason, text, view.generation, view.now)
            for kind, state, reason, text in made
        ],
    )


def _available(view: View, course: Course) -> tuple[str, bool | None, str, str]:
    serving = [r for r in (course.stable, course.candidate) if r is not None and view.weight(r.revision) > 0]
    if not serving:
        return "Available", False, "NothingServes", "No revision gets requests yet."
    down = [r.revision for r in serving if view.of(r.revision).ready == 0]
    if down:
        return (
            "Available",
            False,
            "NoReadyReplica",
            f"Revision {', '.join(down)} gets requests and has no ready replica.",
        )
    return "Available", True, "Serving", f"Revision {' and '.join(r.revision for r in serving)} answers."


def _admitted(view: View) -> tuple[str, bool | None, str, str]:
    found = view.admission
    if found is None:
        return "Admitted", None, "NotLookedAt", "The artifact was not looked at yet."
    return "Admitted", found.admitted, found.reason or "Unknown", found.message


def _promoted(view: View, course: Course, said: Summary) -> tuple[str, bool | None, str, str]:
    if course.pinned is not None:
        return "Promoted", False, "RollbackRequested", _pinned(course.pinned)
    if course.stable is not None and course.stable.revision == view.wanted.revision:
        return "Promoted", True, "Promoted", f"Revision {course.stable.revision} is stable."
    return "Promoted", False, said.reason, said.message


def status(view: View, course: Course) -> RolloutStatus:
    """The whole new status."""
    said, ramp = summary(view, course), course.ramp
    candidate = course.candidate if ramp is not None else None
    served = [r.revision for r in (course.stable, candidate) if r is not None]
    return RolloutStatus(
        observed_generation=view.generation,
        phase=said.phase,
        message=said.message[:2048],
        next=said.next[:2048],
        plan=course.plan[:2048] if course.ramp is not None else "",
        stable=course.stable,
        candidate=candidate,
        weight=_weight(view, course),
        header_route=_header_route(view)[:2048],
        mirror=view.route.mirror.percent if view.route.mirror else None,
        preview=preview.where(view, course)[:2048],
        step=_step(view, course),
        verdict=course.verdict,
        findings=list(course.findings),
        ramp=ramp,
        promoted_ramp=course.promoted_ramp,
        pinned=course.pinned,
        route_ordered_at=course.route_ordered_at,
        retiring=list(course.retiring),
        weights=list(course.weights),
        verbs=list(course.verbs),
        history=list(course.history),
        replicas=sum(view.of(r).desired for r in served),
        ready_replicas=sum(view.of(r).ready for r in served),
        selector=f"{names.LABEL_ROLLOUT}={names.label_value(view.ref.name)}",
        conditions=conditions(view, course, said),
    )


def _step(view: View, course: Course) -> str:
    """Where in the steps the ramp is; "" where there are none to take."""
    ramp = course.ramp
    stepless = ramp is None or course.first or ramp.skip_steps
    return "" if ramp is None or stepless else step_text(view.steps, ramp.step)


def _weight(view: View, course: Course) -> int | None:
    """What the observed route gives to the candidate, or to stable when there is none."""
    if view.route.raw is None:
        return None
    shown = course.candidate if course.ramp is not None else course.stable
    return view.weight(shown.revision) if shown is not None else None


def _header_route(view: View) -> str:
    """Which requests the observed route sends to the candidate whatever the weight."""
    chosen = beside.in_force(view).chosen
    return f"{beside.text(chosen)}. {beside.NOT_JUDGED}" if chosen else ""


def newly(view: View, reason: str) -> bool:
    """Whether the ramp stands for a reason that it did not stand for before."""
    before = find(view.status.conditions, "Progressing")
    return reason in WORTH_AN_EVENT and (before is None or before.reason != reason)
