"""At most one operator acts: it holds a Lease before it begins, and ends at once when it loses it.

Another's Lease counts as run out when it has not changed for its duration by our own clock, so clocks need not agree.
The same identity (the pod's name) may take its own Lease back at once: its former process is dead."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from threading import Event as Flag
from threading import Thread

from edgeramp.effects.cluster import Cluster, Object
from edgeramp.effects.kinds import LEASE, Ref
from edgeramp.effects.records import lease_manifest
from edgeramp.entry.telemetry import log
from edgeramp.values.errors import ClusterError

_LOG = logging.getLogger("edgeramp.leader")
LEASE_NAME = "edgeramp-operator"
DURATION = 10
RENEW_DEADLINE = 7.0
PERIOD = 2.0


class Leader:
    """`acquire` blocks; `keep` renews from a thread and calls `lost` when it could not for RENEW_DEADLINE seconds."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        identity: str,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster, self._namespace, self._identity = cluster, namespace, identity
        self._clock, self._monotonic = clock, monotonic
        self._rival: tuple[str, float] = ("", 0.0)
        self._stop = Flag()
        self._renewed = -math.inf
        self.reached = False

    def holds(self) -> bool:
        """Whether the Lease is surely ours: it was renewed so lately that nobody else can have taken it."""
        return self._monotonic() - self._renewed <= RENEW_DEADLINE

    def try_once(self) -> bool:
        """Take or renew the Lease; False while somebody else has it or the API server did not let us."""
        began = self._monotonic()
        taken = self._try()
        if taken:
            self._renewed = began
        return taken

    def _try(self) -> bool:
        where = Ref(*LEASE, self._namespace, LEASE_NAME)
        try:
            current = self._cluster.get(where)
            self.reached = True
            if current is not None and not self._mine_or_stale(current):
                return False
            manifest = lease_manifest(
                current, self._namespace, LEASE_NAME, self._identity, DURATION, self._clock()
            )
            if current is None:
                return self._cluster.create(manifest)
            self._cluster.replace(manifest)
        except ClusterError as error:
            log(_LOG, logging.WARNING, "Lease was not taken", error=str(error))
            return False
        return True

    def acquire(self) -> None:
        """Wait until the Lease is ours."""
        told = False
        while not self.try_once():
            if not told:
                log(_LOG, logging.INFO, "waited for the Lease", identity=self._identity, lease=LEASE_NAME)
                told = True
            if self._stop.wait(PERIOD / 2):
                return
        log(_LOG, logging.INFO, "took the Lease", identity=self._identity, lease=LEASE_NAME)

    def keep(self, lost: Callable[[], None]) -> None:
        """Renew until `release`."""
        Thread(target=self._renew, args=(lost,), name="leader", daemon=True).start()

    def _renew(self, lost: Callable[[], None]) -> None:
        while not self._stop.wait(PERIOD):
            if not self.try_once() and not self.holds():
                log(_LOG, logging.ERROR, "lost the Lease", identity=self._identity, lease=LEASE_NAME)
                lost()
                return

    def release(self) -> None:
        """Give the Lease back, so that the next operator need not wait for it to run out."""
        self._stop.set()
        try:
            self._cluster.drop_lease(LEASE_NAME, self._identity)
        except ClusterError as error:
            log(_LOG, logging.WARNING, "Lease was not given back", error=str(error))

    def _mine_or_stale(self, lease: Object) -> bool:
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") in ("", None, self._identity):
            return True
        version, now = lease["metadata"]["resourceVersion"], self._monotonic()
        if self._rival[0] != version:
            self._rival = (version, now)
        return now - self._rival[1] > float(spec.get("leaseDurationSeconds") or DURATION)
