"""What keeps every ramp from growing, whatever its steps say: spec.paused, a freeze of the cluster, closed windows.

Traffic still goes back: by the evidence, by abort, and to a revision that served before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from edgeramp.api.windows import Window
from edgeramp.decide.rollout.course import Course, Hold
from edgeramp.decide.rollout.view import View
from edgeramp.values import names
from edgeramp.values.quantities import timestamp

LOOK_AGAIN_SECONDS = 15.0
"""How soon the end of a freeze is noticed."""
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FAR = 8


def standstill(view: View, course: Course) -> Hold | None:
    """Why nothing may grow now; None when it may. A first revision, and a way back without steps, wait for
    spec.paused only."""
    ramp = course.ramp
    here = f"at {view.weight(ramp.revision) if ramp else 0} %"
    if view.spec.paused:
        return Hold(
            "Paused", f"Paused by spec.paused {here}", "goes on when spec.paused is false", paused=True
        )
    if course.first or (ramp is not None and ramp.skip_steps):
        return None
    return _frozen(view, here) or _closed(view, here)


def _frozen(view: View, here: str) -> Hold | None:
    freeze, again = view.seen.freeze, view.now + LOOK_AGAIN_SECONDS
    if freeze is None or (freeze.until is not None and view.now >= freeze.until):
        return None
    if freeze.until is None:
        following = f"goes on when ConfigMap {names.CONFIGMAP_FREEZE} is deleted"
        return Hold(
            "Frozen", f"All ramps are frozen, {here}: {freeze.reason}", following, paused=True, until=again
        )
    end = timestamp(freeze.until)
    message = f"All ramps are frozen until {end}, {here}: {freeze.reason}"
    return Hold("Frozen", message, f"goes on at {end}", paused=True, until=min(again, freeze.until))


def _closed(view: View, here: str) -> Hold | None:
    try:
        opens = next_opening(view.spec.strategy.windows, view.now)
    except ValueError as error:
        return Hold(
            "WindowClosed", f"Nothing grows, {here}: {error}", "goes on when that is mended", paused=True
        )
    if opens is None or opens <= view.now:
        return None
    at = timestamp(opens)
    message = f"Waiting {here}: no window of strategy.windows is open before {at}"
    return Hold("WindowClosed", message, f"goes on at {at}", paused=True, until=opens)


def next_opening(windows: Sequence[Window], now: float) -> float | None:
    """When weights may grow next (epoch): `now` inside a window, None without windows. ValueError for an unknown zone."""
    if not windows:
        return None
    return min(max(now, opens) for opens, closes in _around(windows, now) if closes > now)


def _around(windows: Sequence[Window], now: float) -> list[tuple[float, float]]:
    """Opening and closing of each window from yesterday on for a week."""
    found = []
    for window in windows:
        try:
            zone = ZoneInfo(window.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(
                f"strategy.windows names the time zone {window.time_zone}, which is not in the IANA database; write one"
                " such as Europe/Berlin or UTC"
            ) from error
        today = datetime.fromtimestamp(now, UTC).astimezone(zone).date()
        for day in (today + timedelta(days=n) for n in range(-1, _FAR)):
            if not window.days or _DAYS[day.weekday()] in window.days:
                start, end = _moment(day, window.start, zone), _moment(day, window.end, zone)
                if end <= start:
                    end = _moment(day + timedelta(days=1), window.end, zone)
                found.append((start, end))
    return found


def _moment(day: date, at: str, zone: ZoneInfo) -> float:
    """Epoch of a time of day; in the hour that daylight saving skips or repeats, the first that there is."""
    return datetime.combine(day, time.fromisoformat(at), zone).timestamp()
