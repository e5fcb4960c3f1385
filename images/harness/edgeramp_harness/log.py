"""Progress for people reading `kubectl logs`: one line, past tense, UTC time."""

from __future__ import annotations

import sys
from datetime import UTC, datetime


def say(message: str) -> None:
    """Print one line to stdout at once."""
    stamp = datetime.now(UTC).strftime("%H:%M:%S")
    sys.stdout.write(f"{stamp} {message}\n")
    sys.stdout.flush()


def human_bytes(count: float) -> str:
    """1536 -> '1.5 KiB'."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
