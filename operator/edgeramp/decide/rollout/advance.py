"""Walking the steps: a step is left when its weight was read back, its pause is over and the evidence allows more."""

from __future__ import annotations

from dataclasses import replace

from edgeramp.api.rollout import Step
from edgeramp.decide.rollout import beside, checks
from edgeramp.decide.rollout.analysis import compares, gate
from edgeramp.decide.rollout.course import (
    SCALE_DOWN_SECONDS,
    Course,
    Hold,
    Outcome,
    held,
    ramp_of,
    ramp_with,
    recorded,
    retire,
    told,
)
from edgeramp.decide.rollout.standstill import standstill
from edgeramp.decide.rollout.steps import (
    clock,
    entered,
    goal,
    next_weight,
    stable_lacks,
    stable_needs,
    step_text,
    weight_at,
)
from edgeramp.decide.rollout.view import View
from edgeramp.decide.rollout.watch import is_available
from edgeramp.values.quantities import duration, seconds, timestamp

HOLD_AT_FULL_SECONDS = 10.0
"""At 100 the predecessor still stands by at full strength this long (less when stepMinimum is shorter)."""


def advance(view: View, course: Course) -> Course:
    """As many steps as can be taken now; what stops the ramp is the course's hold."""
    steps = view.steps
    for _ in range(len(steps) + 1):
        if not course.active or course.hold is not None:
            return course
        before = ramp_of(course).step
        course = _one(view, course, steps)
        if not course.active or ramp_of(course).step == before:
            return course
    return course


def _one(view: View, course: Course, steps: list[Step]) -> Course:
    """One step further, or the same course with the reason why not."""
    ramp, want = ramp_of(course), goal(view, course)
    still = standstill(view, course)
    if still is not None:
        return held(course, replace(still, message=f"{still.message}."))
    blocked = obstacle(view)
    if blocked:
        return held(course, blocked)
    if view.weight(ramp.revision) > want and course.stable is not None and stable_lacks(view, course, want):
        ready, need = view.of(course.stable.revision).ready, stable_needs(view, course, want)
        return held(course, Hold("StableScalingUp", f"Holding: {ready} of {need} replicas of stable {course.stable.revision}"
                                 f" are ready for {100 - want} %.", f"to {want} % when they are ready"))  # fmt: skip
    if view.weight(ramp.revision) != want:
        return held(course, Hold("SettingWeight", f"Setting {want} %, step {step_text(steps, ramp.step)}."))
    if beside.asked(view, course, want) != beside.in_force(view):
        return held(course, Hold("SettingRoute", f"Setting the route of step {step_text(steps, ramp.step)}."))
    if ramp.weight_since is None:
        course = ramp_with(course, weight_since=view.now)
    if want == 100 and (ramp.step >= len(steps) or course.first or ramp.skip_steps or ramp.promoted_full):
        return _at_full(view, course)
    return _leave(view, course, steps)


def obstacle(view: View) -> Hold | None:
    """What forbids more traffic to the candidate now, whatever the steps say."""
    admission = view.admission
    if admission is None or admission.admitted is None:
        what = admission.message if admission else "the artifact was not looked at yet"
        return Hold("AdmissionUnknown", f"Holding: {what}.", "looked at again", until=view.now + 10)
    if view.seen.gateway is None:
        ref = view.spec.route.gateway_ref
        return Hold("GatewayMissing", f"Holding: there is no Gateway {ref.namespace or view.ref.namespace}/{ref.name}.",
                    "goes on when it is there", until=view.now + 15)  # fmt: skip
    if view.route.refused:
        return Hold("RouteNotAccepted", f"Holding: the gateway does not accept the route: {view.route.refused}.",
                    "goes on when it does", until=view.now + 15)  # fmt: skip
    return None


def _leave(view: View, course: Course, steps: list[Step]) -> Course:
    ramp = ramp_of(course)
    step = steps[ramp.step] if ramp.step < len(steps) else Step(set_weight=100)
    if step.pause is not None:
        if ramp.pause_started_at is None:
            course = ramp_with(course, pause_started_at=view.now)
        pausing = _pausing(view, course, step)
        if pausing:
            return held(course, pausing)
    grows = goal(view, course) < weight_at(steps, ramp_of(course).step + 1)
    waits = checks.hold(view, course, grows)
    if waits:
        return held(course, waits)
    if _needs_proof(view, course, steps):
        stop = gate(view, course, next_weight(steps, ramp.step))
        if stop:
            return held(course, stop)
    course = entered(view, course, ramp.step + 1)
    return replace(
        course, why=(*course.why, f"step {step_text(steps, ramp.step)} left: {course.evidence or 'done'}")
    )


def _needs_proof(view: View, course: Course, steps: list[Step]) -> bool:
    """Only a growing weight needs evidence, and only where there was traffic to gather it."""
    here = goal(view, course)
    return compares(view, course) and 0 < here < weight_at(steps, ramp_of(course).step + 1)


def _pausing(view: View, course: Course, step: Step) -> Hold | None:
    ramp = ramp_of(course)
    at, where = f"{view.weight(ramp.revision)} %", f"{ramp.revision}/{ramp.step + 1}"
    pause = step.pause
    if pause is None or pause.duration is None:
        return Hold("PauseStep", f"Paused at {at} until somebody promotes.",
                    f"goes on with the annotation edgeramp.dev/promote={where}", paused=True)  # fmt: skip
    end = (ramp.pause_started_at or view.now) + seconds(pause.duration)
    if view.now >= end:
        return None
    return Hold("PauseStep", f"Paused at {at} for {pause.duration}, until {timestamp(end)}.",
                f"goes on at {timestamp(end)}", paused=True, until=end)  # fmt: skip


def _at_full(view: View, course: Course) -> Course:
    """At 100: promoted once the weight has held with all replicas available."""
    ramp = ramp_of(course)
    if not is_available(view, ramp, 100):
        return course
    if ramp.full_since is None:
        course = ramp_with(course, full_since=view.now)
    since = ramp_of(course).full_since or view.now
    minimum = min(HOLD_AT_FULL_SECONDS, seconds(view.spec.strategy.analysis.step_minimum))
    wait = minimum if compares(view, course) else 0.0
    if clock(view, ramp) - since < wait:
        end = since + wait
        return held(course, Hold("HoldingAtFull", f"At 100 %, watched until {timestamp(end)} before it becomes stable.",
                                 f"becomes stable at {timestamp(end)}", until=end))  # fmt: skip
    return promoted(view, course)


def promoted(view: View, course: Course) -> Course:
    """The candidate becomes stable; its predecessor's pods stay a while."""
    ramp, old = ramp_of(course), course.stable
    took = duration(view.now - ramp.started_at)
    outcome: Outcome = "FastPromoted" if ramp.promoted_full else "Promoted"
    if old is None:
        message = f"Revision {ramp.revision} serves 100 % of the requests, {took} after it was asked for."
    else:
        message = f"Promoted: revision {ramp.revision} replaced {old.revision} after {took}."
    course = recorded(view, course, outcome, message)
    swap = view.spec.strategy.blue_green
    course = retire(course, old, view.now, swap.scale_down_delay_seconds if swap else SCALE_DOWN_SECONDS)
    course = told(course, "Normal", outcome, message)
    judged = checks.finished(ramp) if ramp.evidence or ramp.checks else None
    return replace(course, stable=course.candidate, candidate=None, ramp=None, promoted_ramp=judged)
