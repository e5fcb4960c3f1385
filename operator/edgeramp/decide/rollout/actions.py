"""From the course to actions: exposure shrinks first, then servers, then exposure grows, then cleaning up.

Only what differs from what was observed is applied, so that a settled Rollout asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edgeramp.api.rollout import ServedRevision
from edgeramp.decide.decision import Action, Apply, Delete, Patch
from edgeramp.decide.rollout import beside, checks, preview
from edgeramp.decide.rollout.advance import obstacle
from edgeramp.decide.rollout.beside import Beside
from edgeramp.decide.rollout.choose import GOOD, last_of
from edgeramp.decide.rollout.course import Course, ramp_of, told, weighed
from edgeramp.decide.rollout.drift import covers
from edgeramp.decide.rollout.steps import goal, needed, stable_lacks, stable_needs, step_text
from edgeramp.decide.rollout.view import View
from edgeramp.decide.rollout.watch import is_available
from edgeramp.render import route as routes
from edgeramp.render import server
from edgeramp.render.route import Split
from edgeramp.values import names
from edgeramp.values.verdict import Verdict

SETTLE_SECONDS = 1.0
"""How long a gateway may take until a split is in force. Measured on Envoy Gateway: 12 to 35 ms."""


@dataclass(frozen=True)
class Wanted:
    """The split to ask for now, None to leave the route as it is; `weight` is the candidate's share in it."""

    split: Split | None
    weight: int
    grows: bool = False
    beside: Beside = field(default_factory=Beside)


def wanted_route(view: View, course: Course) -> Wanted:
    """The whole route to ask for now."""
    wanted = _wanted_split(view, course)
    if wanted.split is None:
        return wanted
    asked = Beside() if _refused(view) else beside.asked(view, course, wanted.weight)
    following = beside.following(
        view,
        asked,
        may_grow=course.active and may_grow(view, course, goal(view, course)),
        may_shrink=stable_ready(view, course),
        quiet=view.now >= quiet_at(course),
    )
    return replace(wanted, beside=following, grows=wanted.grows or beside.grows(view, following))


def _wanted_split(view: View, course: Course) -> Wanted:
    """The next split on the way to the goal. Less is always allowed, where stable answers; more only when nothing
    stands against it."""
    have = view.route.split
    if course.stable is None:
        return _first_split(view, course)
    stable, ramp = view.ref.object_name(course.stable.revision), course.ramp
    name = view.ref.object_name(ramp.revision) if ramp is not None else ""
    now = view.weight(ramp.revision) if ramp is not None else 0
    want = 0 if _refused(view) else goal(view, course)
    if want > now and not may_grow(view, course, want):
        want = now
    if want < now and not _refused(view) and stable_lacks(view, course, want):
        return Wanted(None, now)
    if (want == 0 or want < now) and not stable_ready(view, course):
        return Wanted(None, now)
    if want == 0:
        at_once = (
            ramp is None or ramp.skip_steps or ramp.promoted_full or view.spec.strategy.blue_green is not None
        )
        step_by_step = course.active and not at_once
        return Wanted(routes.prepared(have, stable), 0) if step_by_step else _towards(view, course, stable, 0)
    if want == 100:
        return _towards(view, course, name, 100)
    if now == 0 and (_places(have) != 2 or view.now < quiet_at(course)):
        return Wanted(routes.prepared(have, stable), 0)
    return Wanted(routes.split_between(stable, name, want), want, grows=want > now)


def _towards(view: View, course: Course, winner: str, weight: int) -> Wanted:
    """The next split on the way to `winner` alone. What only tidies up waits until the gateway has the one before."""
    have = view.route.split
    following = routes.taken_over(have, winner)
    only_tidies = sum(b.weight for b in have) == 100 and all(b.service == winner for b in have)
    if only_tidies and following != have and view.now < quiet_at(course):
        return Wanted(have, weight)
    grows = weight > 0 and not only_tidies
    return Wanted(following, weight, grows)


def quiet_at(course: Course) -> float:
    """When the gateway can be relied on to have the last split (epoch)."""
    return (course.route_ordered_at or 0.0) + SETTLE_SECONDS


def _places(split: Split) -> int:
    return sum(b.weight > 0 for b in split)


def stable_ready(view: View, course: Course) -> bool:
    """Whether stable can take what the candidate loses: traffic never moves to where nothing answers, as long as the
    other side does."""
    stable = course.stable
    if stable is None or view.of(stable.revision).ready > 0:
        return True
    return not any(s.ready > 0 and (view.weight(r) > 0 or view.chooses(r)) for r, s in view.servers.items())


def _refused(view: View) -> bool:
    """Whether the wanted artifact must not be served: then it loses what it has."""
    return view.admission is not None and view.admission.admitted is False


def _first_split(view: View, course: Course) -> Wanted:
    if not course.active or not may_grow(view, course, 100):
        return Wanted(None, 0)
    return _towards(view, course, view.ref.object_name(ramp_of(course).revision), 100)


def may_grow(view: View, course: Course, weight: int) -> bool:
    """Whether the candidate may get more requests now: enough replicas ready, nothing frozen, no obstacle."""
    ramp = ramp_of(course)
    return ramp.frozen_at is None and is_available(view, ramp, weight) and obstacle(view) is None


def ordered(view: View, course: Course, wanted: Wanted) -> Course:
    """The course with the order of a new weight recorded, before it is given."""
    if wanted.split is not None and not _as_wanted(view, wanted):
        course = replace(course, route_ordered_at=view.now)
        course = beside.announced(view, course, wanted.beside)
    ramp = course.ramp
    if ramp is None or wanted.split is None or not course.active or wanted.weight == ramp.weight_ordered:
        return course
    at = step_text(view.steps, ramp.step)
    now = view.weight(ramp.revision)
    judged = wanted.grows and now > 0 and course.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)
    evidence = f" {course.evidence}" if judged else ""
    where = "" if course.first or ramp.skip_steps else f", step {at}"
    note = f"Weight {now} % to {wanted.weight} %{where}.{evidence}"
    return told(weighed(course, wanted.weight, view.now, note), "Normal", "WeightSet", note)


def actions(view: View, course: Course, wanted: Wanted) -> tuple[Action, ...]:
    """All that is to be done, in order."""
    route = _route(view, wanted)
    return (
        *_finalizer(view),
        *preview.shrinks(view, course),
        *(route if not wanted.grows else ()),
        *_servers(view, course),
        *preview.grows(view, course),
        *checks.jobs(view, course),
        *(route if wanted.grows else ()),
        *_cleanup(view, course),
        *_clear(view, course),
    )


def _finalizer(view: View) -> tuple[Action, ...]:
    if view.has_finalizer:
        return ()
    have = tuple(view.seen.rollout.get("metadata", {}).get("finalizers") or ())
    return (patch(view, {"finalizers": [*have, names.FINALIZER_ROLLOUT]}),)


def _clear(view: View, course: Course) -> tuple[Action, ...]:
    if not course.cleared:
        return ()
    return (patch(view, {"annotations": dict.fromkeys(course.cleared)}),)


def patch(view: View, metadata: Mapping[str, Any]) -> Patch:
    """A merge patch of the Rollout's own metadata."""
    return Patch(
        names.API_VERSION, "Rollout", view.ref.namespace, view.ref.name, {"metadata": dict(metadata)}
    )


def _route(view: View, wanted: Wanted) -> tuple[Action, ...]:
    if wanted.split is None:
        return ()
    chosen, mirror = wanted.beside.chosen, wanted.beside.mirror
    manifest = routes.http_route(view.ref, view.spec.route, wanted.split, chosen, mirror)
    have = view.route.raw
    if have is not None and covers(have, manifest) and _as_wanted(view, wanted):
        return ()
    version = (have or {}).get("metadata", {}).get("resourceVersion")
    if version and (wanted.grows or (chosen is not None and chosen.headers)):
        # More exposure only on the route that was looked at: a late write of a second worker is refused.
        manifest["metadata"]["resourceVersion"] = version
    return (Apply(manifest),)


def _as_wanted(view: View, wanted: Wanted) -> bool:
    """Whether the observed route sends requests where they are wanted."""
    have = view.route
    return have.split == wanted.split and Beside(have.chosen, have.mirror) == wanted.beside


def _servers(view: View, course: Course) -> tuple[Action, ...]:
    """Services and Deployments of what serves or is to serve."""
    found: list[Action] = []
    if course.stable is not None:
        found += _one(view, course.stable, stable_replicas(view, course))
    if course.active and course.candidate is not None and admitted(view):
        found += _one(view, course.candidate, candidate_replicas(view, course))
    return tuple(found)


def stable_replicas(view: View, course: Course) -> int:
    """Replicas that stable is to have: those of its present share or of the one it is to get, whichever is more. Fewer
    only when the gateway can be relied on to send it less."""
    if course.stable is None or course.ramp is None:
        return view.spec.replicas
    weight = min(view.weight(course.ramp.revision), goal(view, course))
    want, have = stable_needs(view, course, weight), view.of(course.stable.revision).desired
    return min(have, view.spec.replicas) if want < have and view.now < quiet_at(course) else want


def admitted(view: View) -> bool:
    """Whether the wanted artifact may run at all."""
    admission = view.admission
    return admission is not None and admission.admitted is True


def candidate_replicas(view: View, course: Course) -> int:
    """Replicas the candidate is to have: enough for the weight it is to get; all of them on the way to 100."""
    return 0 if view.spec.replicas == 0 else needed(view, ramp_of(course), goal(view, course))


def _one(view: View, served: ServedRevision, replicas: int) -> list[Action]:
    have = view.of(served.revision)
    wanted = (
        (have.service, server.service(view.ref, served.revision)),
        (have.deployment, server.deployment(view.ref, served, replicas, view.seen.settings)),
    )
    return [Apply(manifest) for raw, manifest in wanted if raw is None or not covers(raw, manifest)]


def _cleanup(view: View, course: Course) -> tuple[Action, ...]:
    """Servers that no request reaches any more: to 0 replicas when their time is over, away when nobody returns."""
    keep = {r.revision for r in (course.stable, course.candidate if course.active else None) if r is not None}
    found: list[Action] = []
    for revision, servers in view.servers.items():
        if revision in keep or view.referenced(revision):
            continue
        due = due_at(course, revision)
        if due is None or view.now < due:
            continue
        served = next((r.served for r in course.retiring if r.revision == revision), None)
        if served is not None and returns(view, course, revision):
            found += [a for a in _one(view, served, 0) if servers.desired > 0]
            continue
        for raw, version, kind in (
            (servers.deployment, "apps/v1", "Deployment"),
            (servers.service, "v1", "Service"),
        ):
            if raw is not None:
                meta = raw["metadata"]
                found.append(Delete(version, kind, view.ref.namespace, meta["name"], meta.get("uid")))
    return tuple(found)


def due_at(course: Course, revision: str) -> float | None:
    """When a revision's pods go (epoch); None: they stay. What nobody remembers goes at once."""
    entry = next((r for r in course.retiring if r.revision == revision), None)
    if entry is None:
        return 0.0
    return None if entry.seconds is None else entry.since + entry.seconds


def returns(view: View, course: Course, revision: str) -> bool:
    """Whether somebody may still go back to it without steps, or retry it: then only its replicas go."""
    if course.ramp is not None and course.ramp.revision == revision:
        return True
    promoted = [
        h.revision
        for h in reversed(course.history)
        if h.outcome in GOOD
        and (last := last_of(course.history, h.revision)) is not None
        and last.outcome in GOOD
    ]
    others = [r for r in dict.fromkeys(promoted) if course.stable is None or r != course.stable.revision]
    return revision in others[: view.spec.rollback_window.revisions]
