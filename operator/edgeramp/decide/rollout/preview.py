"""The preview of blue-green: an HTTPRoute of its own that leads to the candidate alone, while its ramp runs."""

from __future__ import annotations

from edgeramp.decide.decision import Action, Apply, Delete
from edgeramp.decide.rollout.course import Course
from edgeramp.decide.rollout.drift import covers
from edgeramp.decide.rollout.view import View
from edgeramp.render import route as routes
from edgeramp.render.server import Manifest


def shrinks(view: View, course: Course) -> tuple[Action, ...]:
    """The preview goes with its ramp, before anything else happens."""
    have = view.preview
    if have.raw is None or not have.ours or _wanted(view, course) is not None:
        return ()
    meta = have.raw["metadata"]
    return (Delete(routes.API_VERSION, "HTTPRoute", view.ref.namespace, meta["name"], meta.get("uid")),)


def grows(view: View, course: Course) -> tuple[Action, ...]:
    """The preview as it is to be, where it is not so yet."""
    want, have = _wanted(view, course), view.preview.raw
    return () if want is None or (have is not None and covers(have, want)) else (Apply(want),)


def _wanted(view: View, course: Course) -> Manifest | None:
    """None: no preview. It begins when a replica of the candidate is ready, not while the ramp is frozen, and then
    stays until the ramp ends or the revision is another one."""
    asked, ramp = view.spec.strategy.blue_green, course.ramp
    if asked is None or not asked.preview_hostnames or ramp is None or ramp.skip_steps:
        return None
    if not course.active or course.first:
        return None
    service = view.ref.object_name(ramp.revision)
    there = any(b.service == service for b in view.preview.split)
    if not there and (view.of(ramp.revision).ready == 0 or ramp.frozen_at is not None):
        return None
    if view.admission is None or view.admission.admitted is not True:
        return None
    return routes.preview_route(view.ref, view.spec.route, asked.preview_hostnames, service)


def where(view: View, course: Course) -> str:
    """Where the candidate can be looked at before it gets any request; "" where it cannot."""
    asked, ramp = view.spec.strategy.blue_green, course.ramp
    if (
        asked is None
        or ramp is None
        or not course.active
        or course.first
        or view.of(ramp.revision).service is None
    ):
        return ""
    name = view.ref.object_name(ramp.revision)
    inside = f"http://{name}.{view.ref.namespace}:{routes.SERVICE_PORT}"
    if view.preview.raw is None:
        return inside
    hosts = ", ".join(asked.preview_hostnames)
    return f"{inside}, {hosts}" + (f" (not accepted: {view.preview.refused})" if view.preview.refused else "")
