"""The steps as arithmetic: which weight belongs to a step, which comes next, how many replicas that takes."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from edgeramp.api.rollout import RampFacts, Step
from edgeramp.decide.rollout.course import Course, because, ramp_of, ramp_with
from edgeramp.decide.rollout.view import View
from edgeramp.values.names import short_hash


def weight_at(steps: Sequence[Step], index: int) -> int:
    """The weight that step `index` asks for: its own, or the last one set before it. 100 after the last step."""
    if index >= len(steps):
        return 100
    return next((s.set_weight for s in reversed(steps[: index + 1]) if s.set_weight is not None), 0)


def next_weight(steps: Sequence[Step], index: int) -> int:
    """The weight after leaving step `index`, looking past pauses."""
    return next((s.set_weight for s in steps[index + 1 :] if s.set_weight is not None), 100)


def weights_ahead(steps: Sequence[Step]) -> tuple[int, ...]:
    """All weights above 0 that the ramp may go to, in order, 100 last, each once."""
    found = [s.set_weight for s in steps if s.set_weight]
    return tuple(dict.fromkeys([*found, 100]))


def step_text(steps: Sequence[Step], index: int) -> str:
    """`2/4`: the second of three steps and the last stretch."""
    return f"{index + 1}/{len(steps) + 1}"


def goal(view: View, course: Course) -> int:
    """The weight that the candidate is to have now, as far as the ramp goes; 0 without a ramp or after an abort."""
    ramp = course.ramp
    if ramp is None or ramp.aborted_at is not None:
        return 0
    if course.first or ramp.skip_steps or ramp.promoted_full:
        return 100
    return min(weight_at(view.steps, ramp.step), ramp.granted)


def steps_taken(view: View, course: Course) -> Sequence[Step]:
    """The steps so far, the present one included; none where none are taken: a first revision, a way without steps, a
    ramp that is over."""
    ramp = course.ramp
    if ramp is None or not course.active or course.first or ramp.skip_steps or ramp.promoted_full:
        return ()
    return view.steps[: ramp.step + 1]


def needed(view: View, ramp: RampFacts, weight: int) -> int:
    """Ready replicas that the candidate must have for `weight`, at least one; never fewer than an earlier step took,
    unless a step fixed their number. All of them for 100."""
    steps = view.steps
    fixed = _fixed(view, ramp) if weight < 100 else None
    if fixed is not None:
        return fixed
    reached = [weight_at(steps, i) for i in range(min(ramp.step + 1, len(steps)))]
    return max(1, ceil(view.spec.replicas * max([weight, *reached]) / 100))


def stable_needs(view: View, course: Course, weight: int) -> int:
    """Replicas that stable must have while the candidate gets `weight`: all, or with dynamicStableScale its share of
    them, at least one. All of them as soon as the ramp is over."""
    full = view.spec.replicas
    if not view.spec.strategy.dynamic_stable_scale or not course.active or course.first:
        return full
    return min(full, max(1, ceil(full * (100 - weight) / 100)))


def stable_lacks(view: View, course: Course, weight: int) -> bool:
    """Whether stable was scaled down too far to get back what a step takes from the candidate."""
    stable = course.stable
    if stable is None or not course.active or not view.spec.strategy.dynamic_stable_scale:
        return False
    return view.of(stable.revision).ready < stable_needs(view, course, weight)


def _fixed(view: View, ramp: RampFacts) -> int | None:
    """The number of replicas that the last setCandidateScale so far asks for; None: what the weight takes."""
    steps = view.steps
    if ramp.step >= len(steps) or ramp.skip_steps or ramp.promoted_full:
        return None
    taken = reversed(steps[: ramp.step + 1])
    scale = next((s.set_candidate_scale for s in taken if s.set_candidate_scale is not None), None)
    if scale is None or scale.match_traffic_weight:
        return None
    return scale.replicas or max(1, ceil(view.spec.replicas * (scale.percent or 100) / 100))


def entered(view: View, course: Course, step: int) -> Course:
    """The course at the beginning of `step`."""
    steps, ramp = view.steps, ramp_of(course)
    same = weight_at(steps, step) == weight_at(steps, ramp.step) and not ramp.promoted_full
    return ramp_with(
        course,
        step=step,
        step_started_at=clock(view, ramp),
        granted=max(ramp.granted, weight_at(steps, step)),
        pause_started_at=None,
        weight_since=ramp.weight_since if same else None,
        full_since=None,
    )


def steps_hash(steps: Sequence[Step]) -> str:
    """Tells whether somebody has edited the steps."""
    return short_hash([s.wire() for s in steps])


def relocate(view: View, course: Course) -> Course:
    """After an edit of the steps mid-ramp: the last step that asks for no more than was granted already."""
    ramp, steps = course.ramp, view.steps
    if ramp is None or not course.active or ramp.steps == steps_hash(steps):
        return course
    if (
        not ramp.steps
    ):  # a new ramp: the first weight needs no evidence, there is no traffic to gather it from
        return ramp_with(course, steps=steps_hash(steps), granted=weight_at(steps, 0))
    if ramp.granted == 0:  # nothing was asked for yet: the first weight is the first one, as for a new ramp
        course = ramp_with(course, granted=weight_at(steps, 0))
        ramp = ramp_of(course)
    earned = 0
    for index in range(len(steps) + 1):
        if weight_at(steps, index) > ramp.granted:
            break
        earned = index
    changes = {"step": earned, "steps": steps_hash(steps), "weight_since": None, "pause_started_at": None}
    return because(ramp_with(course, **changes), f"steps were edited: now at {step_text(steps, earned)}")


def clock(view: View, ramp: RampFacts) -> float:
    """The ramp's time: it stands still while the Rollout is paused."""
    return ramp.frozen_at if ramp.frozen_at is not None else view.now
