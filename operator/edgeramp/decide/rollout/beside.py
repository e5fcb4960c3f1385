"""What a candidate gets besides its weight: requests that are chosen by a header, and copies of requests.

Neither is evidence. Requests with that header have no counterpart at stable, so a comparison would compare two
populations; the answers to copies reach nobody, and copies are no live traffic. The servers count both apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeramp.decide.rollout.course import Course, told
from edgeramp.decide.rollout.steps import steps_taken
from edgeramp.decide.rollout.view import View
from edgeramp.render import route as routes
from edgeramp.render.route import Chosen, Mirror

NOT_JUDGED = "They are not judged: stable gets none like them."


@dataclass(frozen=True)
class Beside:
    """What a route has besides its split."""

    chosen: Chosen | None = None
    mirror: Mirror | None = None


def asked(view: View, course: Course, weight: int) -> Beside:
    """What the steps so far ask for. Nothing at 100: the candidate gets all of it anyway."""
    steps = steps_taken(view, course) if weight < 100 else ()
    name = view.ref.object_name(course.ramp.revision) if course.ramp is not None else ""
    header = next((s.set_header_route for s in reversed(steps) if s.set_header_route is not None), None)
    percent = next((s.set_mirror for s in reversed(steps) if s.set_mirror is not None), 0)
    return Beside(
        Chosen(name, tuple(routes.header_of(m) for m in header.match)) if header and header.match else None,
        Mirror(name, percent) if percent else None,
    )


def in_force(view: View) -> Beside:
    """What the observed route has; a parked place reaches nobody and counts as none."""
    chosen = view.route.chosen
    return Beside(chosen if chosen is not None and chosen.headers else None, view.route.mirror)


def following(view: View, want: Beside, may_grow: bool, may_shrink: bool, quiet: bool) -> Beside:
    """The next state on the way to `want`. More only where it may grow; requests are taken from the candidate only
    where stable answers; copies can always go."""
    have = view.route.chosen
    chosen = want.chosen
    if not may_grow and chosen is not None:
        kept = have is not None and have.headers and have.service == chosen.service
        chosen = have if kept else None
    step = routes.next_chosen(have, chosen, quiet)
    if have is not None and have.headers and (step is None or not step.headers) and not may_shrink:
        step = have
    return Beside(step, _mirror(view.route.mirror, want.mirror, may_grow))


def _mirror(have: Mirror | None, want: Mirror | None, may_grow: bool) -> Mirror | None:
    if want is None or may_grow:
        return want
    if have is None or have.service != want.service:
        return None
    return Mirror(want.service, min(have.percent, want.percent))


def grows(view: View, new: Beside) -> bool:
    """Whether the candidate gets requests or copies that it does not get now."""
    have, chosen, mirror = view.route, new.chosen, new.mirror
    more_chosen = chosen is not None and bool(chosen.headers) and chosen != have.chosen
    same = have.mirror is not None and mirror is not None and have.mirror.service == mirror.service
    before = have.mirror.percent if have.mirror is not None and same else 0
    return more_chosen or (mirror is not None and mirror.percent > before)


def announced(view: View, course: Course, new: Beside) -> Course:
    """One event for each change of a running ramp."""
    before, chosen, mirror = (
        in_force(view),
        new.chosen if new.chosen and new.chosen.headers else None,
        new.mirror,
    )
    if not course.active or course.ramp is None:
        return course
    revision = course.ramp.revision
    if chosen != before.chosen:
        note = "No request is chosen by a header any more."
        if chosen:
            note = f"Requests with {text(chosen)} go to revision {revision}. {NOT_JUDGED}"
        course = told(course, "Normal", "HeaderRouteSet", note)
    if mirror != before.mirror:
        course = told(course, "Normal", "MirrorSet", _mirror_note(mirror, revision))
    return course


def _mirror_note(mirror: Mirror | None, revision: str) -> str:
    if mirror is None:
        return "No request is copied any more."
    share = f"{mirror.percent} % of the requests are copied to revision {revision}"
    return f"{share}; nobody gets its answers, and copies are not judged."


def text(chosen: Chosen) -> str:
    """The headers, for people."""
    return " or ".join(str(h) for h in chosen.headers)
