"""A freeze of the cluster and maintenance windows: nothing grows, and traffic goes back all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.world import Behaviour, World, healthy, spec_of

from edgeramp.api.windows import Window
from edgeramp.cli.simulation.world import START
from edgeramp.decide.rollout.standstill import next_opening
from edgeramp.decide.seen import Freeze
from edgeramp.values.quantities import timestamp

MANUAL: dict[str, Any] = {"steps": [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}]}
HOUR = 3600.0


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def window(start: str, end: str, *days: str, zone: str = "UTC") -> Window:
    return Window.model_validate({"start": start, "end": end, "days": list(days), "timeZone": zone})


def opening(*windows: Window, now: str, zone: str = "UTC") -> str:
    found = next_opening(windows, at(now, zone))
    assert found is not None
    return datetime.fromtimestamp(found, UTC).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def test_without_windows_there_is_nothing_to_wait_for() -> None:
    assert next_opening([], at("2026-11-27 12:00")) is None


@pytest.mark.parametrize(("now", "opens"), [
    ("2026-11-27 12:00", "2026-11-27 22:00"),  # a Friday, before it
    ("2026-11-27 23:00", "2026-11-27 23:00"),  # in it
    ("2026-11-28 03:59", "2026-11-28 03:59"),  # after midnight it is Friday's still
    ("2026-11-28 04:00", "2026-11-30 22:00"),  # closed on the weekend
])  # fmt: skip
def test_a_night_window_of_working_days(now: str, opens: str) -> None:
    nights = window("22:00", "04:00", "Mon", "Tue", "Wed", "Thu", "Fri")
    assert opening(nights, now=now) == opens


def test_several_windows_and_other_clocks() -> None:
    noon = window("12:00", "13:00")
    berlin = window("09:00", "10:00", "Sat", zone="Europe/Berlin")
    assert opening(noon, berlin, now="2026-11-27 14:00") == "2026-11-28 08:00"
    assert opening(noon, berlin, now="2026-11-28 09:30") == "2026-11-28 12:00"


def test_summer_time_moves_the_window_with_the_clock_on_the_wall() -> None:
    nine = window("09:00", "10:00", zone="Europe/Berlin")
    assert opening(nine, now="2026-03-28 12:00") == "2026-03-29 07:00"  # was 08:00 the day before
    skipped = window("02:30", "03:30", zone="Europe/Berlin")  # 02:30 does not exist that night
    assert opening(skipped, now="2026-03-29 02:00", zone="Europe/Berlin").startswith("2026-03-29")


@given(
    st.lists(
        st.builds(
            window,
            st.sampled_from(["00:00", "06:30", "22:00"]),
            st.sampled_from(["05:00", "12:15", "23:59"]),
            st.sampled_from(["Mon", "Wed", "Sun"]),
            zone=st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"]),
        ),
        min_size=1,
        max_size=3,
    ),
    st.floats(START, START + 400 * 86400),
)
def test_the_next_opening_is_ahead_within_eight_days_and_open(windows: list[Window], now: float) -> None:
    found = next_opening(windows, now)
    assert found is not None and now <= found <= now + timedelta(days=8).total_seconds()
    assert next_opening(windows, found) == found


def ramp(strategy: dict[str, Any] = MANUAL, **changes: Any) -> World:
    world = healthy(spec_of("A", strategy=strategy), **changes)
    world.set_artifact("B")
    return world


def test_a_freeze_holds_a_ramp_where_it_is_and_says_why() -> None:
    world = ramp()
    world.run(5)
    world.freeze = Freeze("Black Friday")
    world.annotate("promote")
    world.run(30)
    assert world.weight("B") == 20
    assert world.condition("Paused") == ("True", "Frozen")
    assert "Black Friday" in world.status["message"] and "at 20 %" in world.status["message"]
    assert (
        "Black Friday" in world.status["verbs"][-1]["message"] and not world.status["verbs"][-1]["accepted"]
    )
    world.freeze = None
    world.run(20)
    assert world.condition("Paused") == ("True", "PauseStep")
    world.annotate("promote")
    world.run(5)
    assert world.weight("B") == 60
    assert world.events.count("Frozen") == 1


def test_a_freeze_with_an_end_is_over_by_itself() -> None:
    world = ramp({"steps": [{"setWeight": 20}], "analysis": {"enabled": False}})
    world.freeze = Freeze("a long weekend", until=world.now + 2 * HOUR)
    world.run(2 * HOUR - 5)
    assert (world.weight("B"), world.phase) == (0, "Paused")
    assert timestamp(world.freeze.until or 0) in world.status["next"]
    world.run(120)
    assert world.weight("B") == 100


def test_in_a_freeze_abort_rollback_and_the_way_back_work() -> None:
    world = ramp()
    world.run(5)
    world.freeze = Freeze("Black Friday")
    world.annotate("abort")
    world.run(2)
    assert (world.weight("B"), world.weight("A")) == (0, 100)
    world.freeze = None
    world.set_artifact("C")
    world.run(5)
    world.annotate("promote-full")
    world.run(60)
    assert world.weight("C") == 100
    world.freeze = Freeze("Black Friday")
    world.annotate("rollback", world.revision("A"))
    world.run(30)
    assert (world.weight("A"), world.phase) == (100, "Healthy")


def test_a_bad_candidate_is_rolled_back_in_a_freeze() -> None:
    world = ramp({"steps": [{"setWeight": 50}]}, behaviours={"B": Behaviour(crash_after=40)})
    world.run(10)
    assert world.weight("B") == 50
    world.freeze = Freeze("Black Friday")
    world.run(120)
    assert (world.weight("B"), world.phase) == (0, "Degraded")


def test_a_first_revision_does_not_wait_for_the_end_of_a_freeze() -> None:
    world = World(spec_of("A"), freeze=Freeze("Black Friday"))
    world.run(60)
    assert (world.weight("A"), world.phase) == (100, "Healthy")


def test_a_ramp_waits_for_its_window_with_its_clock_standing_still() -> None:
    opens = datetime.fromtimestamp(START + 6 * HOUR, UTC)
    night = {"start": opens.strftime("%H:%M"), "end": (opens + timedelta(hours=1)).strftime("%H:%M")}
    strategy = {
        "steps": [{"setWeight": 20}],
        "analysis": {"maxDuration": "1h", "enabled": False},
        "windows": [night],
    }
    world = ramp(strategy)
    world.run(3 * HOUR)
    assert (world.weight("B"), world.condition("Paused")) == (0, ("True", "WindowClosed"))
    assert world.answers(world.revision("B")), "it stands ready when the window opens"
    assert world.status["next"].startswith("goes on at ")
    world.run(3 * HOUR + 60)
    assert (world.weight("B"), world.phase) == (100, "Healthy")


def test_a_time_zone_that_does_not_exist_is_said_and_nothing_grows() -> None:
    zone = {"start": "00:00", "end": "23:59", "timeZone": "Europe/Atlantis"}
    world = ramp({"steps": [{"setWeight": 20}], "windows": [zone]})
    world.run(30)
    assert (world.weight("B"), world.phase) == (0, "Paused")
    assert "Europe/Atlantis" in world.status["message"]
