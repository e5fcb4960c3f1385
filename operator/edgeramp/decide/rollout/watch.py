"""Looking after the servers: freezing the clock, availability, a candidate that is lost, the progress deadline."""

from __future__ import annotations

from dataclasses import replace

from edgeramp.api.rollout import RampFacts, Retiring
from edgeramp.decide.rollout.choose import GOOD, last_of
from edgeramp.decide.rollout.course import Course, Hold, abort, begin, held, ramp_of, ramp_with
from edgeramp.decide.rollout.standstill import standstill
from edgeramp.decide.rollout.steps import clock, goal, needed
from edgeramp.decide.rollout.view import Servers, View
from edgeramp.values.quantities import duration, timestamp

_SHIFTED = (
    "step_started_at",
    "weight_since",
    "pause_started_at",
    "waiting_since",
    "full_since",
    "error_since",
)


def freeze(view: View, course: Course) -> Course:
    """What stands still stops the ramp's clock; afterwards all its times are moved by the length of that."""
    if not course.active:
        return course
    ramp = ramp_of(course)
    if standstill(view, course) is not None:
        return course if ramp.frozen_at is not None else ramp_with(course, frozen_at=view.now)
    if ramp.frozen_at is None:
        return course
    by = view.now - ramp.frozen_at
    moved = {name: getattr(ramp, name) + by for name in _SHIFTED if getattr(ramp, name) is not None}
    return ramp_with(course, frozen_at=None, **moved)


def revert(view: View, course: Course) -> Course:
    """A promoted revision that is lost while its predecessor still runs: traffic goes back to the healthy copy."""
    stable = course.stable
    if stable is None or course.active or view.spec.replicas == 0 or view.wanted.revision != stable.revision:
        return course
    mine = view.of(stable.revision)
    if mine.deployment is None or mine.ready > 0:
        return course
    kept = next((r for r in reversed(course.retiring) if _can_return(view, course, r)), None)
    if kept is None or kept.served is None:
        return course
    message = (
        f"Rolled back: promoted revision {stable.revision} has no ready replica"
        f"{_because(mine)}; traffic returns to {kept.revision}, which still runs."
    )
    lost = begin(
        view, replace(course, stable=kept.served, retiring=_without(course, kept.revision)), skip_steps=False
    )
    return abort(view, lost, "RolledBack", "PromotedLost", message)


def _can_return(view: View, course: Course, kept: Retiring) -> bool:
    last = last_of(course.history, kept.revision)
    good = last is not None and last.outcome in GOOD
    return good and kept.served is not None and view.of(kept.revision).ready > 0


def _without(course: Course, revision: str) -> tuple[Retiring, ...]:
    return tuple(r for r in course.retiring if r.revision != revision)


def watch(view: View, course: Course) -> Course:
    """Availability facts, and what follows when the candidate is lost or never comes."""
    if not course.active:
        return course
    ramp = ramp_of(course)
    servers = view.of(ramp.revision)
    course = _availability(view, course, servers)
    lost = _lost(view, course, servers)
    if lost:
        message = f"Rolled back: {lost} {_share(view, ramp.revision)}{_because(servers)}."
        return abort(view, course, "RolledBack", "CandidateLost", message)
    return _deadline(view, course, servers)


def is_available(view: View, ramp: RampFacts, weight: int) -> bool:
    """Whether enough replicas of the candidate are ready for `weight`."""
    return view.of(ramp.revision).ready >= needed(view, ramp, weight)


def _availability(view: View, course: Course, servers: Servers) -> Course:
    ramp = ramp_of(course)
    if is_available(view, ramp, goal(view, course)):
        changes: dict[str, float | int | None] = {}
        if ramp.waiting_since is not None:
            changes["waiting_since"] = None
        if ramp.available_at is None:
            changes |= {"available_at": view.now, "restarts": servers.restarts}
        return ramp_with(course, **changes) if changes else course
    if view.spec.replicas == 0:  # nobody waits for what was scaled away
        return ramp_with(course, waiting_since=None) if ramp.waiting_since is not None else course
    if ramp.waiting_since is None:
        return ramp_with(course, waiting_since=clock(view, ramp))
    return course


def _lost(view: View, course: Course, servers: Servers) -> str:
    """How the candidate was lost while it has weight; "" when it was not. One restart among several is no loss."""
    ramp = ramp_of(course)
    if (
        course.first
        or ramp.available_at is None
        or not (_reached(view, ramp.revision) or view.spec.strategy.blue_green is not None)
        or view.spec.replicas == 0
    ):
        return ""
    who = f"candidate {ramp.revision}"
    if servers.ready == 0:
        return f"{who} was available and has no ready replica now"
    if servers.crash_loop and servers.restarts > ramp.restarts:
        return f"{who} crashes in a loop ({servers.restarts - ramp.restarts} restarts)"
    if servers.desired <= 1 and servers.restarts > ramp.restarts:
        return f"the only replica of {who} restarted"
    return ""


def _reached(view: View, revision: str) -> bool:
    return view.weight(revision) > 0 or view.chooses(revision) or view.copies(revision) > 0


def _share(view: View, revision: str) -> str:
    """What it got when it was lost."""
    weight = view.weight(revision)
    if weight == 0 and view.chooses(revision):
        return "while requests chosen by header go to it"
    if weight == 0 and view.copies(revision):
        return f"while {view.copies(revision)} % of the requests are copied to it"
    return (
        f"at {weight} % of the requests"
        if weight or view.spec.strategy.blue_green is None
        else "in its preview"
    )


def _deadline(view: View, course: Course, servers: Servers) -> Course:
    ramp, limit = ramp_of(course), view.spec.progress_deadline_seconds
    if view.spec.replicas == 0:
        return held(
            course, Hold("ScaledToZero", "Holding: replicas is 0, so nothing can be served.", "scale up")
        )
    if ramp.waiting_since is None:
        return course
    need = needed(view, ramp, goal(view, course))
    waited = clock(view, ramp) - ramp.waiting_since
    in_pause = ramp.available_at is not None and _pausing(view, ramp)
    state = f"{servers.ready} of {need} replicas of {ramp.revision} are ready{_because(servers)}"
    if waited < limit or in_pause:
        until = ramp.waiting_since + limit if ramp.frozen_at is None and not in_pause else None
        course = replace(course, deadline=until)
        next_ = f"{_at_deadline(view, course)} at {timestamp(until)}" if until else ""
        return held(course, Hold("CandidateNotAvailable", f"Waiting: {state}.", next_, until=until))
    message = f"progress deadline of {duration(limit)} passed: {state}"
    if course.first or view.spec.on_progress_deadline == "Hold":
        return held(
            course, Hold("ProgressDeadlineExceeded", f"Holding: {message}.", "goes on when they are ready")
        )
    return abort(view, course, "RolledBack", "ProgressDeadlineExceeded", f"Rolled back: {message}.")


def _pausing(view: View, ramp: RampFacts) -> bool:
    steps = view.steps
    return ramp.step < len(steps) and steps[ramp.step].pause is not None


def _at_deadline(view: View, course: Course) -> str:
    give_up = not course.first and view.spec.on_progress_deadline == "Abort"
    return "given up" if give_up else "reported as Degraded"


def _because(servers: Servers) -> str:
    return f" ({servers.trouble})" if servers.trouble else ""
