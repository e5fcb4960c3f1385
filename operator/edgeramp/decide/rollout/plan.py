"""plan_rollout: what is seen becomes a new status and ordered actions. Pure, total, level-triggered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgeramp.api.rollout import RolloutStatus
from edgeramp.decide.conditions import condition, find, merged
from edgeramp.decide.decision import Apply, Decision, Event, Patch
from edgeramp.decide.rollout import report
from edgeramp.decide.rollout.actions import actions, due_at, ordered, quiet_at, wanted_route
from edgeramp.decide.rollout.admission import ends_at
from edgeramp.decide.rollout.advance import advance
from edgeramp.decide.rollout.analysis import compares, judge, planned
from edgeramp.decide.rollout.checks import judge_checks, next_looks
from edgeramp.decide.rollout.choose import adopt, certify, choose
from edgeramp.decide.rollout.course import Course, Hold, Stage, from_status, held, ramp_of, told
from edgeramp.decide.rollout.rollback import rollback
from edgeramp.decide.rollout.steps import relocate
from edgeramp.decide.rollout.verbs import apply_verbs
from edgeramp.decide.rollout.view import View, read, status_of
from edgeramp.decide.rollout.watch import freeze, revert, watch
from edgeramp.decide.seen import RolloutSeen
from edgeramp.render import route as routes
from edgeramp.values import names
from edgeramp.values.errors import SpecError
from edgeramp.values.quantities import seconds

DELETE_DEADLINE_SECONDS = 30.0
"""A deleted Rollout lets go after this long, even when the gateway cannot be told."""
STAGES: tuple[Stage, ...]


class _Unreadable(RolloutStatus):
    """A status that this version cannot read: what is ours to say is said, all else goes back as it was."""

    raw: dict[str, Any]

    def wire(self) -> dict[str, Any]:
        said = super().wire()
        told: tuple[str, ...] = ("observedGeneration", "phase", "message", "next", "conditions")
        ours = {key: said[key] for key in told if said.get(key)}
        return {**self.raw, **ours}


def plan_rollout(seen: RolloutSeen) -> Decision:
    """The decision for one Rollout as seen now. Never raises for what a user can write."""
    try:
        view = read(seen)
        foreign = _not_ours(view)
        if view.deleting_since is not None:
            return _deletion(view, view.deleting_since)
        if foreign:
            return _stalled(seen, *foreign)
        missing = _images(view)
        if missing:
            return _stalled(seen, "ImageNotConfigured", missing)
        return _decide(view)
    except SpecError as error:
        meta = seen.rollout.get("metadata", {})
        if meta.get("deletionTimestamp"):
            return _released(seen, "it cannot be read, and nothing depends on it any more")
        return _stalled(seen, "InvalidSpec", str(error))


def _decide(view: View) -> Decision:
    view, course = rollback(view, from_status(view.status))
    for stage in STAGES:
        course = stage(view, course)
    wanted = wanted_route(view, course)
    course = _forgotten(view, ordered(view, course, wanted))
    return Decision(
        status=report.status(view, course),
        actions=actions(view, course, wanted),
        events=course.events,
        requeue_after=_again(view, course),
        why=course.why,
    )


def _admission(view: View, course: Course) -> Course:
    """An artifact that must not be served stops its ramp before any traffic moves."""
    found = view.admission
    if not course.active or found is None or found.admitted is not False:
        return course
    return held(
        course,
        Hold("NotAdmitted", f"Not admitted: {found.message}", "write another artifact, or allowUncertified"),
    )


def _announced(view: View, course: Course) -> Course:
    """An event when the ramp begins to stand for a reason worth one."""
    hold = course.hold
    if hold is None or not course.active or not report.newly(view, hold.reason):
        return course
    calm = hold.reason in ("PauseStep", "Paused", "Frozen", "WindowClosed")
    return replace(
        told(course, "Normal" if calm else "Warning", hold.reason, hold.message),
        said=course.said or hold.message,
    )


STAGES = (
    adopt,
    revert,
    choose,
    relocate,
    apply_verbs,
    certify,
    relocate,
    freeze,
    _admission,
    watch,
    planned,
    judge,
    judge_checks,
    advance,
    _announced,
)


def _forgotten(view: View, course: Course) -> Course:
    """Without those retired revisions of which nothing is left."""
    kept = tuple(
        r
        for r in course.retiring
        if r.revision in view.servers or (due := due_at(course, r.revision)) is None or view.now < due
    )
    return replace(course, retiring=kept)


def _again(view: View, course: Course) -> float | None:
    """Seconds until the next look that no watch would cause; None at rest."""
    times: list[float] = []
    if course.hold is not None and course.hold.until is not None:
        times.append(course.hold.until)
    if course.deadline is not None:
        times.append(course.deadline)
    if quiet_at(course) > view.now and _unfinished(view, course):
        times.append(quiet_at(course))
    times += next_looks(view, course)
    end = ends_at(view.admission, view.now)
    if end is not None:
        times.append(end)
    for entry in course.retiring:
        due = due_at(course, entry.revision)
        servers = view.of(entry.revision)
        if due is not None and servers.deployment is not None and (servers.desired > 0 or due > view.now):
            times.append(due)
    if compares(view, course) and 0 < view.weight(ramp_of(course).revision) < 100:
        last = ramp_of(course).last_scrape_at or view.now
        times.append(last + seconds(view.spec.strategy.analysis.scrape_interval))
    elif course.active and (course.hold is None or course.hold.reason in ("SettingWeight", "SettingRoute")):
        times.append(view.now + 5.0)  # a route or a pod is on its way and wakes us: this is the second string
    return max(0.1, min(times) - view.now) if times else None


def _unfinished(view: View, course: Course) -> bool:
    """Whether the route waits for the gateway: to be tidied up, or to give the candidate its first share."""
    return len(view.route.split) != 1 or view.route.chosen is not None or course.active


def _not_ours(view: View) -> tuple[str, str] | None:
    """Another owner of our routes' names, or of our host name."""
    previews = view.spec.strategy.blue_green is not None and view.spec.strategy.blue_green.preview_hostnames
    for route in (view.route, *([view.preview] if previews else [])):
        if route.raw is not None and not route.ours:
            return "RouteNotOurs", (
                f"HTTPRoute {view.ref.namespace}/{route.raw['metadata']['name']} belongs to {route.owner}; rename this"
                " Rollout or delete that route. Nothing was touched."
            )
    if view.seen.rival:
        hosts = ", ".join(view.spec.route.hostnames)
        return "HostnameTaken", (
            f"Rollout {view.seen.rival} serves {hosts} at {view.spec.route.path} already; write another host name or"
            " path in spec.route. Nothing was touched."
        )
    return None


def _images(view: View) -> str:
    """Which image the administrator has not named; "" when all are there."""
    known = [s for s in (view.status.stable, view.status.candidate) if s is not None]
    started = {s.revision for s in known if s.server_image}
    to_name = [s for s in (view.wanted, *known) if s.revision not in started]
    wanted = [name for s in to_name for name in ("courier", *([] if s.image else [f"server-{s.framework}"]))]
    missing = [name for name in wanted if name not in view.seen.settings.images]
    return (
        f"no image is configured for {missing[0]}; set images.{missing[0]} in the chart's values"
        if missing
        else ""
    )


def _stalled(seen: RolloutSeen, reason: str, message: str) -> Decision:
    """Nothing is touched; the status says what the user must do, and keeps all that is known."""
    meta = seen.rollout.get("metadata", {})
    try:
        status = status_of(seen.rollout)
    except SpecError:
        status = _Unreadable(raw=dict(seen.rollout.get("status") or {}))
    generation, before = int(meta.get("generation", 0)), find(status.conditions, "Stalled")
    made = [
        condition("Stalled", True, reason, message, generation, seen.now),
        condition("Ready", False, reason, message, generation, seen.now),
        condition("Progressing", False, reason, message, generation, seen.now),
    ]
    fresh = status.model_copy(
        update={
            "observed_generation": generation,
            "phase": "Degraded",
            "message": message[:2048],
            "next": "goes on when that is mended",
            "conditions": merged(status.conditions, made),
        }
    )
    new = before is None or before.reason != reason or before.message != message[:2048]
    events = (Event("Warning", reason, message[:1000]),) if new else ()
    return Decision(status=fresh, events=events, requeue_after=60.0, why=(f"stalled: {reason}",))


def _deletion(view: View, since: float) -> Decision:
    """All traffic to stable, then the finalizer goes; what we own follows by its ownerReferences."""
    status = view.status.model_copy(
        update={"message": "Being deleted.", "next": "what belongs to it is removed"}
    )
    if not view.has_finalizer:
        return Decision(status=status)
    stable, route = view.status.stable, view.route
    late = view.now - since >= DELETE_DEADLINE_SECONDS
    if stable is None or not route.ours or late or view.weight(stable.revision) == 100:
        why = "the deadline passed" if late else "no traffic has to move"
        return replace(_released(view.seen, why), status=status)
    split = routes.taken_over(route.split, view.ref.object_name(stable.revision))
    move = Apply(routes.http_route(view.ref, view.spec.route, split))
    remaining = since + DELETE_DEADLINE_SECONDS - view.now
    return Decision(
        status=status, actions=(move,), requeue_after=max(0.1, remaining), why=("all traffic to stable",)
    )


def _released(seen: RolloutSeen, why: str) -> Decision:
    """The finalizer goes, everything else of the object stays as it is."""
    meta = seen.rollout.get("metadata", {})
    others = [f for f in meta.get("finalizers") or [] if f != names.FINALIZER_ROLLOUT]
    body = {"metadata": {"finalizers": others}}
    release = Patch(names.API_VERSION, "Rollout", meta.get("namespace", ""), meta.get("name", ""), body)
    status = _Unreadable(raw=dict(seen.rollout.get("status") or {}))
    return Decision(status=status, actions=(release,), why=(f"released: {why}",))
