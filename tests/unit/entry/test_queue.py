"""The work queue, on an event loop whose time stands still until everything due has been done."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

from edgeramp.entry.queue import SPACING_BURST, Key, Next, WorkQueue, backoff

A, B = Key("Rollout", "default", "a"), Key("Rollout", "default", "b")


class _Leap(selectors.SelectSelector):
    """Waits no time; tells the loop how long it would have."""

    def __init__(self, leap: Callable[[float], None]) -> None:
        super().__init__()
        self._leap = leap

    def select(self, timeout: float | None = None) -> Any:
        self._leap(timeout or 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time jumps to the next timer; work in threads is done on the spot."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Leap(self._pass))

    def _pass(self, seconds: float) -> None:
        self.now += seconds

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        future = self.create_future()
        future.set_result(func(*args))
        return future


def play(
    look: Callable[[Key], Next], script: Callable[[WorkQueue], Coroutine[Any, Any, None]]
) -> list[tuple[float, Key]]:
    """When each object was looked at while the script ran."""
    loop, looked = VirtualLoop(), list[tuple[float, Key]]()

    def recorded(key: Key) -> Next:
        looked.append((round(loop.now, 3), key))
        return look(key)

    async def run() -> None:
        queue = WorkQueue(recorded)
        queue.start()
        await script(queue)
        await queue.close()

    loop.run_until_complete(run())
    loop.close()
    return looked


def test_a_wake_leads_to_one_look() -> None:
    async def script(queue: WorkQueue) -> None:
        queue.wake(A)
        queue.wake(A)
        queue.wake(B)
        await asyncio.sleep(1)

    assert play(lambda _: Next(), script) == [(0.0, A), (0.0, B)]


def test_a_look_comes_again_when_it_asked_for_it() -> None:
    async def script(queue: WorkQueue) -> None:
        queue.wake(A)
        await asyncio.sleep(11)

    assert [t for t, _ in play(lambda _: Next(after=5.0), script)] == [0.0, 5.0, 10.0]


def test_a_wake_does_not_wait_for_the_timer_and_takes_its_place() -> None:
    async def script(queue: WorkQueue) -> None:
        queue.wake(A)
        await asyncio.sleep(2)
        queue.wake(A)
        await asyncio.sleep(6)

    assert [t for t, _ in play(lambda _: Next(after=5.0), script)] == [0.0, 2.0, 7.0]


def test_a_wake_during_a_look_leads_to_another_right_after_it() -> None:
    wakes = []

    async def script(queue: WorkQueue) -> None:
        wakes.append(lambda: queue.wake(A))
        queue.wake(A)
        await asyncio.sleep(1)

    def look(_: Key) -> Next:
        if wakes:
            wakes.pop()()
        return Next()

    assert [t for t, _ in play(look, script)] == [0.0, 0.0]


def test_failures_back_off_and_a_success_forgets_them() -> None:
    results = [Next(failed=True)] * 3 + [Next(), Next(failed=True), Next()]

    async def script(queue: WorkQueue) -> None:
        queue.wake(A)
        await asyncio.sleep(10)
        queue.wake(A)
        await asyncio.sleep(10)

    assert [t for t, _ in play(lambda _: results.pop(0), script)] == [0.0, 0.2, 0.6, 1.4, 10.0, 10.2]


def test_the_backoff_doubles_up_to_half_a_minute() -> None:
    assert [backoff(n) for n in (1, 2, 3, 8, 9, 50)] == [0.2, 0.4, 0.8, 25.6, 30.0, 30.0]


def test_a_wake_after_failures_waits_a_second_at_most() -> None:
    results = [Next(failed=True)] * 20

    async def script(queue: WorkQueue) -> None:
        queue.wake(A)
        await asyncio.sleep(100)
        queue.wake(A)
        await asyncio.sleep(1)

    times = [t for t, _ in play(lambda _: results.pop(0) if results else Next(), script)]
    assert 101.0 in times


def test_a_look_that_wakes_itself_each_time_is_slowed_down() -> None:
    queues = []

    async def script(queue: WorkQueue) -> None:
        queues.append(queue)
        queue.wake(A)
        await asyncio.sleep(20)

    def look(key: Key) -> Next:
        queues[0].wake(key)
        return Next()

    assert SPACING_BURST + 90 <= len(play(look, script)) <= SPACING_BURST + 110


def test_what_is_gone_is_forgotten_and_may_come_back() -> None:
    async def script(queue: WorkQueue) -> None:
        queue.wake(A)
        await asyncio.sleep(1)
        assert queue.known() == ()
        queue.wake(A)
        await asyncio.sleep(1)

    assert play(lambda _: Next(after=0.1, gone=True), script) == [(0.0, A), (1.0, A)]


def test_nothing_begins_after_the_end() -> None:
    async def script(queue: WorkQueue) -> None:
        queue.wake(A)
        await queue.close()
        queue.wake(B)
        await asyncio.sleep(1)

    assert play(lambda _: Next(), script) == []
