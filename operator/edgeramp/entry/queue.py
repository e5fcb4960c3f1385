"""One serial loop per object: a keyed work queue on asyncio whose work runs in threads.

An object is looked at by one worker at a time. A wake during a look leads to another look right after it; a look says
when it wants the next one. Failures back off, without randomness, per object. Knows nothing of Kubernetes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

SPACING_BURST = 40
SPACING_RATE = 5.0
MINIMUM_REQUEUE = 0.02


class Key(NamedTuple):
    """An object: its kind, namespace and name."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Next:
    """What a look asks for: another one in `after` seconds (None: when woken), or to be forgotten. `failed` makes
    `after` be overruled by the backoff."""

    after: float | None = None
    gone: bool = False
    failed: bool = False


@dataclass
class _Entry:
    running: bool = False
    dirty: bool = False
    failures: int = 0
    timer: asyncio.TimerHandle | None = None
    due: float = 0.0
    tokens: float = SPACING_BURST
    refilled: float = 0.0


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row: 0.2, 0.4, … up to 30."""
    return float(min(0.2 * 2 ** min(failures - 1, 10), 30.0))


class WorkQueue:
    """`look` is called in one of `workers` threads. All methods but `wake_from_thread` belong to the event loop."""

    def __init__(self, look: Callable[[Key], Next], workers: int = 8) -> None:
        self._look = look
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="look")
        self._entries: dict[Key, _Entry] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def start(self) -> None:
        """Bind to the running event loop; wakes before this one are refused."""
        self._loop = asyncio.get_running_loop()

    def wake(self, key: Key) -> None:
        """Look at the object now, or again right after the look that is under way."""
        entry = self._entries.setdefault(key, _Entry(refilled=self._now()))
        if entry.running:
            entry.dirty = True
        elif not self._closed:
            self._schedule(key, entry, self._spacing(entry))

    def wake_from_thread(self, key: Key) -> None:
        """The same from another thread."""
        if self._loop is not None and not self._closed:
            self._loop.call_soon_threadsafe(self.wake, key)

    def known(self, kind: str | None = None) -> tuple[Key, ...]:
        """The objects that are known."""
        return tuple(key for key in self._entries if kind in (None, key.kind))

    def depth(self) -> int:
        """How many objects are being looked at or due by now."""
        now = self._now()
        return sum(e.running or (e.timer is not None and e.due <= now) for e in self._entries.values())

    async def close(self, grace: float = 5.0) -> None:
        """Start nothing anew; wait `grace` seconds for looks under way."""
        self._closed = True
        for entry in self._entries.values():
            if entry.timer:
                entry.timer.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _now(self) -> float:
        return self._loop.time() if self._loop else 0.0

    def _spacing(self, entry: _Entry) -> float:
        """Seconds until the next look may begin: a bucket of tokens, so that a status that changes at every look
        cannot keep a worker busy; and the backoff, of which a wake waits for at most a second."""
        now = self._now()
        entry.tokens = min(SPACING_BURST, entry.tokens + (now - entry.refilled) * SPACING_RATE)
        entry.refilled = now
        wait = max(0.0, (1.0 - entry.tokens) / SPACING_RATE)
        return max(wait, min(backoff(entry.failures), 1.0) if entry.failures else 0.0)

    def _schedule(self, key: Key, entry: _Entry, delay: float) -> None:
        """Look in `delay` seconds, unless a look is due before that."""
        assert self._loop is not None
        due = self._loop.time() + delay
        if entry.timer is not None:
            if entry.due <= due:
                return
            entry.timer.cancel()
        entry.due = due
        entry.timer = self._loop.call_at(due, self._begin, key)

    def _begin(self, key: Key) -> None:
        entry = self._entries.get(key)
        if entry is None or entry.running or self._closed:
            return
        entry.timer, entry.running, entry.dirty = None, True, False
        entry.tokens -= 1.0
        task = asyncio.ensure_future(self._run(key, entry))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, key: Key, entry: _Entry) -> None:
        assert self._loop is not None
        done = await self._loop.run_in_executor(self._pool, self._look, key)
        entry.running = False
        if self._closed:
            return
        if done.gone and not entry.dirty:
            if entry.timer:
                entry.timer.cancel()
            del self._entries[key]
            return
        entry.failures = entry.failures + 1 if done.failed else 0
        if entry.dirty:
            self._schedule(key, entry, self._spacing(entry))
        if done.failed:
            self._schedule(key, entry, backoff(entry.failures))
        elif done.after is not None:
            self._schedule(key, entry, max(done.after, MINIMUM_REQUEUE, self._spacing(entry)))
