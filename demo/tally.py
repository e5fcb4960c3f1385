"""What one second of traffic amounts to: pure counting, no clock and no network."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """One answered (or unanswered) request. `status` is the HTTP status, or `timeout`, `refused`, `dropped`, ….

    `sent_at` is in seconds since the epoch, `seconds` from the planned moment of sending to the last byte: a client
    that is late itself does not make the server look fast.
    """

    sent_at: float
    seconds: float
    status: str
    bright: bool
    right: bool | None

    @property
    def ok(self) -> bool:
        return self.status == "200"


@dataclass
class Tally:
    """Counts over some outcomes."""

    sent: int = 0
    ok: int = 0
    wrong: int = 0
    bright: int = 0
    bright_failed: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.sent += 1
        self.bright += outcome.bright
        if outcome.ok:
            self.ok += 1
            self.wrong += outcome.right is False
            self.seconds.append(outcome.seconds)
        else:
            self.failed[outcome.status] += 1
            self.bright_failed += outcome.bright

    def record(self) -> dict[str, Any]:
        """As it is written: counts, failures by status, latency quantiles of the good answers in milliseconds."""
        p50, p95, p99 = (quantile(self.seconds, q) for q in (0.5, 0.95, 0.99))
        return {
            "sent": self.sent,
            "ok": self.ok,
            "failed": sum(self.failed.values()),
            "failures": dict(sorted(self.failed.items())),
            "wrong": self.wrong,
            "bright": self.bright,
            "bright_failed": self.bright_failed,
            "p50_ms": p50,
            "p95_ms": p95,
            "p99_ms": p99,
        }


def quantile(seconds: Sequence[float], q: float) -> float | None:
    """The smallest value with at least a share `q` of the values at or below it, in milliseconds; None without any."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return round(ordered[max(0, math.ceil(q * len(ordered)) - 1)] * 1000, 2)
