"""When the counters are looked at, and whom is asked."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.objects import rollout

from edgeramp.api.rollout import Route
from edgeramp.effects.ramp_view import Ramp, candidate_weight, endpoints, ramp_in, scrape_order
from edgeramp.render.route import Backend, http_route
from edgeramp.render.server import RolloutRef


def _route(*split: tuple[str, int]) -> dict[str, Any]:
    route = Route.model_validate({"gatewayRef": {"name": "edge"}, "hostnames": ["a.example"]})
    return http_route(RolloutRef("default", "r", "uid"), route, tuple(Backend(*part) for part in split))


def _ramping(weight: int = 25, analysis: dict[str, Any] | None = None, **facts: Any) -> dict[str, Any]:
    made = rollout("r", strategy={"analysis": {"scrapeInterval": "5s", **(analysis or {})}})
    ramp = {"lastScrapeAt": 100.0, "evidence": "{}", "requestSource": "gateway", **facts}
    status = {"stable": {"revision": "s"}, "candidate": {"revision": "c"}, "weight": weight, "ramp": ramp}
    return made | {"status": status}


SPLIT = _route(("s", 75), ("c", 25))


@pytest.mark.parametrize(("now", "due"), [(101.0, False), (104.4, False), (104.5, True), (200.0, True)])
def test_a_look_is_due_once_per_interval_and_may_be_a_little_early(now: float, due: bool) -> None:
    assert ramp_in(_ramping(), SPLIT, now).due is due


def test_a_weight_that_has_just_changed_is_looked_at_at_once() -> None:
    assert ramp_in(_ramping(weight=5), SPLIT, 100.1).due


def test_the_first_look_asks_for_the_history_and_leaves_the_source_open() -> None:
    assert ramp_in(_ramping(evidence="", lastScrapeAt=None, requestSource=None), SPLIT, 0.0) == Ramp(
        True, True, True
    )


@pytest.mark.parametrize(
    ("what", "made", "route"),
    [
        ("no ramp", rollout("r"), SPLIT),
        ("aborted", _ramping(abortedAt=99.0), SPLIT),
        ("analysis off", _ramping(analysis={"enabled": False}), SPLIT),
        ("no route", _ramping(), None),
        ("candidate alone", _ramping(), _route(("c", 100))),
        ("the winner has both places", _ramping(), _route(("c", 75), ("c", 25))),
        ("the candidate has no traffic", _ramping(), _route(("s", 100), ("c", 0))),
    ],
)
def test_nothing_is_read_while_nothing_is_compared(
    what: str, made: dict[str, Any], route: dict[str, Any] | None
) -> None:
    assert ramp_in(made, route, 1e9) in (Ramp(), Ramp(unplanned=True)), what


@pytest.mark.parametrize(("facts", "status", "unplanned"), [
    ({}, {}, True), ({}, {"plan": "At 5 % …"}, False), ({"skipSteps": True}, {}, False), ({"promotedFull": True}, {}, False),
])  # fmt: skip
def test_before_traffic_moves_stables_history_is_read_once(
    facts: dict[str, Any], status: dict[str, Any], unplanned: bool
) -> None:
    made = _ramping(**facts)
    made["status"] |= status
    assert ramp_in(made, _route(("s", 100)), 1e9) == Ramp(unplanned=unplanned)


def test_the_weight_is_read_from_the_route() -> None:
    assert candidate_weight(_route(("s", 95), ("c", 5))) == 5


def _pod(name: str, revision: str, ready: str = "True", **meta: Any) -> dict[str, Any]:
    started = {"state": {"running": {"startedAt": "1970-01-01T00:01:00Z"}}}
    conditions = [{"type": "Ready", "status": ready}]
    labels = {"edgeramp.dev/revision": revision}
    return {"metadata": {"name": name, "labels": labels, **meta}, "status": {
        "podIP": "10.0.0.1", "conditions": conditions, "containerStatuses": [started]}}  # fmt: skip


def test_ready_pods_of_both_revisions_are_asked() -> None:
    pods = [_pod("s-1", "s"), _pod("c-1", "c"), _pod("c-2", "c", ready="False"), _pod("old", "o"),
            _pod("s-2", "s", deletionTimestamp="now")]  # fmt: skip
    order = scrape_order(_ramping(), SPLIT, pods, [_pod("proxy", "")], 19001)
    assert {track: [e.name for e in found] for track, found in order.servers.items()} == {
        "stable": ["s-1"], "candidate": ["c-1"],
    }  # fmt: skip
    assert [e.name for e in order.proxies] == ["proxy"]
    assert endpoints(pods)[0].started == 60.0
