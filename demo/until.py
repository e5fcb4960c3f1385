"""Waiting with a deadline. The only place of the demo that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TookTooLong(Exception):
    """What was awaited did not come in time; the message says what, and what was seen last."""


def until(
    what: str,
    look: Callable[[], T | None],
    seconds: float,
    every: float = 0.5,
    progress: Callable[[str], None] | None = None,
    seen: Callable[[], str] = lambda: "",
) -> T:
    """The first thing other than None (or False) that `look` gives. Raises TookTooLong at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        left = deadline - time.monotonic()
        if left <= 0:
            last = seen()
            raise TookTooLong(f"{what}: not within {seconds:.0f} s{f'; last seen: {last}' if last else ''}")
        if progress:
            progress(f"{what} ({seconds - left:.0f} s) {seen()}".rstrip())
        time.sleep(min(every, left))
