"""Whole rollouts as stories: time, phase, weight read back, what was said, [what was done]. Read them like prose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.support.world import Behaviour, World, healthy, spec_of

QUICK: dict[str, Any] = {
    "analysis": {
        "falsePromotion": "0.2", "errors": {"userBudget": "0.02"}, "latency": {"promoteSlower": "0.7"},
    }
}  # fmt: skip


def quick(*steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A spec whose evidence comes soon: wide margins for promotion, the same tolerance for rolling back."""
    chosen = list(steps) or [{"setWeight": 25}, {"setWeight": 50}]
    return spec_of("A", strategy={"steps": chosen, **QUICK}, **changes)


def first_apply() -> World:
    """Nothing serves yet: straight to 100 %, no steps, no analysis."""
    return World(spec_of("A")).run(60)


def happy_ramp() -> World:
    """A good candidate: 5, 25, 50, 100 % as the evidence allows, with the defaults, at 100 requests a second."""
    world = healthy(rps=100)
    world.set_artifact("B")
    return world.run(1200)


def bad_candidate() -> World:
    """A fifth of the candidate's answers fail: rolled back with the evidence."""
    world = healthy(quick(), behaviours={"B": Behaviour(errors=0.2)})
    world.set_artifact("B")
    return world.run(120)


def slow_candidate() -> World:
    """Half as slow again: no error gate would see it."""
    world = healthy(quick(), behaviours={"B": Behaviour(latency=0.015)})
    world.set_artifact("B")
    return world.run(240)


def crash() -> World:
    """The only replica of the candidate dies while it has weight."""
    world = healthy(quick(), behaviours={"B": Behaviour(crash_after=20)})
    world.set_artifact("B")
    return world.run(120)


def paused() -> World:
    """A timed pause goes on alone, an indefinite one waits, spec.paused freezes everything."""
    steps = [{"setWeight": 25}, {"pause": {"duration": "60s"}}, {"setWeight": 50}, {"pause": {}}]
    world = healthy(quick(*steps))
    world.set_artifact("B")
    world.run(23)
    world.edit(paused=True)
    world.run(600)
    world.edit(paused=False)
    world.run(300)
    world.annotate("promote")
    return world.run(120)


def abort_and_retry() -> World:
    """A person gives up at 25 %, is told that a stale click is refused, and tries again."""
    world = healthy(quick())
    world.set_artifact("B")
    world.run(20)
    world.annotate("abort")
    world.run(60)
    world.annotate("promote", f"{world.revision('B')}/1")
    world.run(30)
    world.annotate("retry")
    return world.run(300)


def superseded() -> World:
    """A third digest in the middle of the ramp."""
    world = healthy(quick())
    world.set_artifact("B")
    world.run(20)
    world.set_artifact("C")
    return world.run(300)


def back_to_stable() -> World:
    """The spec goes back in the middle of the ramp, and later forward again."""
    world = healthy(quick())
    world.set_artifact("B")
    world.run(20)
    world.set_artifact("A")
    world.run(60)
    world.set_artifact("B")
    return world.run(60)


def progress_deadline() -> World:
    """The candidate never becomes ready."""
    world = healthy(quick(progressDeadlineSeconds=120), behaviours={"B": Behaviour(ready_after=None)})
    world.set_artifact("B")
    return world.run(300)


def rollback_window() -> World:
    """Back to a revision that was stable not long ago: no steps."""
    world = healthy(quick())
    world.set_artifact("B")
    world.run(300)
    world.set_artifact("A")
    return world.run(60)


def metrics_away() -> World:
    """The metrics are away for two minutes: held, said once, and on it goes."""
    world = healthy(quick())
    world.set_artifact("B")
    world.run(10)
    world.metrics_up = False
    world.run(120)
    world.metrics_up = True
    return world.run(240)


def promoted_copy_lost() -> World:
    """The promoted copy dies while its predecessor still runs: traffic returns to it."""
    world = healthy(quick(), behaviours={"B": Behaviour(crash_after=90)})
    world.set_artifact("B")
    return world.run(200)


def deleted_mid_run() -> World:
    """kubectl delete at 25 %."""
    world = healthy(quick())
    world.set_artifact("B")
    world.run(20)
    world.delete()
    return world.run(60)


def tried_out_first() -> World:
    """Copies first, then the requests of a cohort, then a share of all: one way through every kind of step."""
    steps = [
        {"setCandidateScale": {"replicas": 2}}, {"setMirror": 20}, {"pause": {"duration": "60s"}}, {"setMirror": 0},
        {"setHeaderRoute": {"match": [
            {"headerName": "X-Cohort", "headerValue": {"exact": "beta"}},
            {"headerName": "Cookie", "headerValue": {"regex": "(.*; )?cohort=beta(;.*)?"}},
        ]}},
        {"pause": {}}, {"setCandidateScale": {"matchTrafficWeight": True}}, {"setWeight": 25},
    ]  # fmt: skip
    world = healthy(quick(*steps, replicas=4))
    world.set_artifact("B")
    world.run(120)
    world.annotate("promote")
    return world.run(240)


def cohort_aborted() -> World:
    """A person gives up while a cohort is served by the candidate."""
    cohort = {"headerName": "X-Cohort", "headerValue": {"prefix": "beta"}}
    world = healthy(quick({"setHeaderRoute": {"match": [cohort]}}, {"pause": {}}))
    world.set_artifact("B")
    world.run(30)
    world.annotate("abort")
    return world.run(60)


def blue_green() -> World:
    """Previewed, switched by a person in one write, regretted, and back in one write as well."""
    swap = {"previewHostnames": ["preview.digits.example"], "mirror": 10, "scaleDownDelaySeconds": 300}
    world = healthy(spec_of("A", strategy={"blueGreen": swap}, replicas=2))
    world.set_artifact("B")
    world.run(60)
    world.annotate("promote")
    world.run(60)
    world.set_artifact("A")
    return world.run(400)


def blue_green_lost() -> World:
    """The candidate dies in its preview: it is not switched to by itself any more."""
    swap = {"previewHostnames": ["preview.digits.example"], "autoPromotionSeconds": 60}
    world = healthy(spec_of("A", strategy={"blueGreen": swap}), behaviours={"B": Behaviour(crash_after=30)})
    world.set_artifact("B")
    return world.run(120)


STORIES = (
    first_apply, happy_ramp, bad_candidate, slow_candidate, crash, paused, abort_and_retry, superseded, back_to_stable,
    progress_deadline, rollback_window, metrics_away, promoted_copy_lost, deleted_mid_run,
    tried_out_first, cohort_aborted, blue_green, blue_green_lost,
)  # fmt: skip


@pytest.mark.parametrize("story", STORIES, ids=lambda s: s.__name__)
def test_story(story: Callable[[], World], golden: Callable[[str, str], None]) -> None:
    world = story()
    lines = [f"# {story.__doc__}", *world.story, f"events: {' '.join(world.events)}"]
    golden(story.__name__, "\n".join(lines) + "\n")
