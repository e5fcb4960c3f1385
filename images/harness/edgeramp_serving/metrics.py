"""Counters, one latency histogram in steps of 1.1, and a ring of the last four hours. Plain Python: one event loop
writes, the same loop reads, so there are no locks."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

INTERVAL = 5
ROWS = 4 * 3600 // INTERVAL


def _edges() -> tuple[float, ...]:
    edges, k = [], 0
    while (edge := 0.0001 * 1.1**k) <= 60:
        edges.append(edge)
        k += 1
    return tuple(edges)


EDGES = _edges()
"""Upper edges in seconds, 0.0001 * 1.1^k up to 60; one more bucket (+Inf) has the index len(EDGES)."""

Kind = Literal["live", "chosen", "mirrored"]
"""`live`: split by weight. `chosen`: sent here for a header of theirs, another population than stable's. `mirrored`: copies."""
_LABELS: dict[Kind, str] = {
    "live": 'live="true"',
    "chosen": 'live="true",routed="header"',
    "mirrored": 'live="false"',
}

OUTCOMES = ("ok", "client_error", "server_error")


def outcome(status: int) -> str:
    """Which outcome an HTTP status is."""
    if status >= 500:
        return "server_error"
    return "client_error" if status >= 400 else "ok"


def edge_index(seconds: float) -> int:
    """Index of the first edge that is at least `seconds`; len(EDGES) above the last."""
    return bisect_left(EDGES, seconds)


@dataclass
class _Track:
    """Counters of one kind of requests."""

    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    buckets: list[int] = field(default_factory=lambda: [0] * (len(EDGES) + 1))
    sum: float = 0.0


class History:
    """Rows of INTERVAL seconds: live requests, server errors among them, and latency counts by edge index."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._slot = int(clock()) // INTERVAL
        self._row: list[Any] = [0, 0, {}]
        self._rows: deque[list[Any]] = deque(maxlen=ROWS)

    def add(self, bad: bool, edge: int) -> None:
        """Count one live request."""
        self._advance()
        self._row[0] += 1
        self._row[1] += bad
        self._row[2][edge] = self._row[2].get(edge, 0) + 1

    def _advance(self) -> None:
        slot = int(self._clock()) // INTERVAL
        if slot <= self._slot:
            return  # also when the wall clock was set back: counts go on in the open row
        self._rows.append(self._row)
        for _ in range(min(slot - self._slot - 1, ROWS)):
            self._rows.append([0, 0, {}])
        self._slot, self._row = slot, [0, 0, {}]

    def report(self) -> dict[str, Any]:
        """Complete rows, oldest first; `start` is the epoch second at which the first begins."""
        self._advance()
        start = (self._slot - len(self._rows)) * INTERVAL
        return {"interval": INTERVAL, "start": start, "rows": list(self._rows)}


class Metrics:
    """All that the operator reads from a server."""

    def __init__(
        self, digest: str, framework: str, precision: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.history = History(clock)
        self._started = clock()
        self._info = f'digest="{digest}",framework="{framework}",precision="{precision}"'
        self._tracks: dict[Kind, _Track] = {kind: _Track() for kind in _LABELS}
        self._executions = {"ok": 0, "error": 0}
        self._labels = [f"{edge:.6g}" for edge in EDGES] + ["+Inf"]

    def request(self, status: int, seconds: float, kind: Kind) -> None:
        """Count one answered inference request."""
        which, edge, track = outcome(status), edge_index(seconds), self._tracks[kind]
        track.outcomes[which] += 1
        track.buckets[edge] += 1
        track.sum += seconds
        if kind == "live":
            self.history.add(which == "server_error", edge)

    def execution(self, succeeded: bool) -> None:
        """Count one call of the runtime."""
        self._executions["ok" if succeeded else "error"] += 1

    def render(self) -> str:
        """Prometheus text format, version 0.0.4."""
        lines = ["# TYPE edgeramp_requests_total counter"]
        shown = [(k, t) for k, t in self._tracks.items() if k != "chosen" or any(t.buckets)]
        for kind, track in shown:
            lines += [
                f'edgeramp_requests_total{{outcome="{o}",{_LABELS[kind]}}} {n}'
                for o, n in track.outcomes.items()
            ]
        lines.append("# TYPE edgeramp_executions_total counter")
        lines += [f'edgeramp_executions_total{{outcome="{o}"}} {n}' for o, n in self._executions.items()]
        lines.append("# TYPE edgeramp_request_duration_seconds histogram")
        for kind, track in shown:
            if kind == "live" or any(track.buckets):
                lines += self._histogram(track, _LABELS[kind])
        lines += [
            "# TYPE edgeramp_artifact_info gauge",
            f"edgeramp_artifact_info{{{self._info}}} 1",
            "# TYPE edgeramp_process_start_time_seconds gauge",
            f"edgeramp_process_start_time_seconds {self._started:.3f}",
            "# TYPE edgeramp_batch_limit gauge",
            "edgeramp_batch_limit 1",
        ]
        return "\n".join(lines) + "\n"

    def _histogram(self, track: _Track, labels: str) -> list[str]:
        name, total, lines = "edgeramp_request_duration_seconds", 0, []
        for label, count in zip(self._labels, track.buckets, strict=True):
            total += count
            lines.append(f'{name}_bucket{{le="{label}",{labels}}} {total}')
        lines.append(f"{name}_sum{{{labels}}} {track.sum:.6f}")
        lines.append(f"{name}_count{{{labels}}} {total}")
        return lines
