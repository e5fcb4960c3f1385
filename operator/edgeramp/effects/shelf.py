"""Lists that change seldom and are read at every look: kept for a while, thrown away when a watch says that they changed.

Whoever tells of a change also wakes whom it concerns, so an outdated list is used at most once, and looked at again."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from edgeramp.effects.cluster import Object
from edgeramp.effects.kinds import Kind

KEPT_SECONDS = 30.0


class Shelf:
    """Safe to use from several threads. With `seconds` 0 nothing is kept."""

    def __init__(self, seconds: float = KEPT_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._kept: dict[Kind, tuple[float, tuple[Object, ...]]] = {}
        self._drops: dict[Kind, int] = {}
        self._lock = Lock()

    def get(self, kind: Kind, load: Callable[[], tuple[Object, ...]]) -> tuple[Object, ...]:
        """The objects of a kind as they were at most `seconds` ago."""
        with self._lock:
            until, kept = self._kept.get(kind, (0.0, ()))
            drops = self._drops.get(kind, 0)
        if self._clock() < until:
            return kept
        fresh = load()
        with self._lock:
            if self._drops.get(kind, 0) == drops:  # a change told of meanwhile may not be in `fresh`
                self._kept[kind] = (self._clock() + self._seconds, fresh)
        return fresh

    def drop(self, kind: Kind) -> None:
        """Read the kind anew at the next look."""
        with self._lock:
            self._kept.pop(kind, None)
            self._drops[kind] = self._drops.get(kind, 0) + 1
