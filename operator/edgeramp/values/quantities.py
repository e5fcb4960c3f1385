"""Ratios as decimal strings, durations as strings: parsed once, here."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

RATIO_PATTERN = r"^[0-9]{1,6}(\.[0-9]{1,6})?$"
DURATION_PATTERN = r"^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$"
DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}$"

_DURATION = re.compile(r"^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")
_UNITS = {
    "": 1,
    "Ki": 1024,
    "Mi": 1024**2,
    "Gi": 1024**3,
    "Ti": 1024**4,
    "k": 1000,
    "M": 1000**2,
    "G": 1000**3,
}


def ratio(text: str) -> float:
    """A decimal string such as "0.95" as a float."""
    return float(Decimal(text))


def seconds(text: str) -> float:
    """A duration such as "1h30m" or "60s" in seconds. Raises ValueError on anything else."""
    match = _DURATION.match(text)
    if not match or not text:
        raise ValueError(f"{text!r} is not a duration; write it like 90s, 5m or 1h30m")
    hours, minutes, secs = (int(g or 0) for g in match.groups())
    return float(hours * 3600 + minutes * 60 + secs)


def duration(secs: float) -> str:
    """Seconds as people read them: 45s, 3m30s, 2h05m."""
    whole = round(secs)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def memory_bytes(quantity: str) -> int:
    """A Kubernetes memory quantity ("512Mi", "1G") in bytes."""
    match = re.match(r"^([0-9.]+)([A-Za-z]*)$", quantity)
    if not match or match.group(2) not in _UNITS:
        raise ValueError(f"{quantity!r} is not a memory quantity; write it like 512Mi or 2Gi")
    return int(Decimal(match.group(1)) * _UNITS[match.group(2)])


def cpu_cores(quantity: str) -> float:
    """A Kubernetes CPU quantity ("1", "500m") in cores."""
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def timestamp(moment: float) -> str:
    """Seconds since the epoch as an RFC 3339 time in UTC, to the second (metav1.Time)."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(text: str) -> float:
    """The inverse of `timestamp`; accepts fractions of seconds too (metav1.MicroTime)."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
