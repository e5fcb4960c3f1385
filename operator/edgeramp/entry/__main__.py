"""`python -m edgeramp.entry`: hold the Lease, watch, look at each object in its own serial loop, until told to stop."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import kopf
from kubernetes import client

from edgeramp import __version__
from edgeramp.effects.admission import StoreAdmissions
from edgeramp.effects.fence import Fenced
from edgeramp.effects.live import LiveCluster, configuration
from edgeramp.effects.observe import Observer
from edgeramp.effects.shelf import Shelf
from edgeramp.entry import settings as settings_of
from edgeramp.entry import watches
from edgeramp.entry.leader import Leader
from edgeramp.entry.queue import WorkQueue
from edgeramp.entry.reconcile import Reconciler, installed_plans
from edgeramp.entry.telemetry import Telemetry, configure_logging, log, serve

_LOG = logging.getLogger("edgeramp.entry")
_STUCK_AFTER = 30.0
_RESYNC_SECONDS = 300
"""All objects are looked at so often, whatever the watches told."""


class Pulse:
    """Whether the event loop still turns."""

    def __init__(self) -> None:
        self._last: float | None = None

    def problem(self) -> str:
        """For /healthz: empty, or what is wrong. Before the loop starts there is nothing to be wrong."""
        silent = time.monotonic() - self._last if self._last is not None else 0.0
        return f"the event loop has not turned for {silent:.0f} s" if silent > _STUCK_AFTER else ""

    async def beat(self, each: Callable[[], None]) -> None:
        """Forever, once a second."""
        while True:
            self._last = time.monotonic()
            each()
            await asyncio.sleep(1.0)


def main() -> int:
    """The whole process; returns its exit status."""
    process = settings_of.read(os.environ)
    configure_logging(process.log_level, process.log_json)
    telemetry, pulse = Telemetry(), Pulse()
    access = configuration(process.kubeconfig)
    namespace = process.settings.operator_namespace
    cluster = LiveCluster(access, namespace)
    leader = Leader(cluster, namespace, process.identity)
    serve(
        process.port,
        telemetry,
        pulse.problem,
        lambda: "" if leader.reached else "no answer from the API server",
    )
    log(_LOG, logging.INFO, "started", version=__version__, identity=process.identity, namespace=namespace)
    signal.signal(signal.SIGTERM, _exit_quietly)
    leader.acquire()
    telemetry.leader.set(1)
    leader.keep(lost=lambda: os._exit(1))
    try:
        shelf = Shelf()
        observer = Observer(cluster, settings_of.with_public_keys(process), StoreAdmissions(), shelf=shelf)
        reconciler = Reconciler(Fenced(cluster, leader.holds), observer, installed_plans(), telemetry)
        asyncio.run(_operate(reconciler, access, shelf, telemetry, pulse, process.workers))
    finally:
        leader.release()
        log(_LOG, logging.INFO, "stopped")
    return 0


async def _operate(
    reconciler: Reconciler,
    access: client.Configuration,
    shelf: Shelf,
    telemetry: Telemetry,
    pulse: Pulse,
    workers: int,
) -> None:
    """Run the watches and the queue until a signal ends the watches."""
    queue = WorkQueue(reconciler.look, workers)
    queue.start()

    def lease_dropped() -> None:
        for key in queue.known("OptimizationRun"):
            queue.wake_from_thread(key)

    reconciler.on_lease_dropped(lease_dropped)
    beats = itertools.count(1)

    def each_second() -> None:
        telemetry.depth.set(queue.depth())
        if next(beats) % _RESYNC_SECONDS == 0:
            for key in queue.known():
                queue.wake(key)

    beat = asyncio.ensure_future(pulse.beat(each_second))
    try:
        identity: Any = platform.node()  # else kopf asks for a user name, and the image's user has none
        await kopf.operator(
            registry=watches.registry(queue, access, shelf),
            clusterwide=True,
            standalone=True,
            identity=identity,
        )
    finally:
        await queue.close()
        beat.cancel()


def _exit_quietly(_number: int, _frame: FrameType | None) -> None:
    """Before the event loop takes over the signals: nothing is held yet."""
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
