"""Traffic as a subprocess, and what its record says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import paths

MAX_SECONDS = 3600


@dataclass
class Flow:
    """One running generator for one host."""

    host: str
    record: Path
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Ask it to finish; it waits for open answers and writes its summary."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(timeout=30)

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it has written so far; a line still being written is left out."""
        for line in self.record.read_text().splitlines() if self.record.exists() else ():
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def seconds(self) -> list[dict[str, Any]]:
        return [r for r in self.lines() if "event" not in r]

    def failures(self) -> list[dict[str, Any]]:
        return [r for r in self.lines() if r.get("event") == "failure"]

    def totals(self) -> dict[str, Any]:
        """Counts over the whole run: the summary, or the sum of the seconds while it runs."""
        ended = [r for r in self.lines() if r.get("event") == "summary"]
        if ended:
            return {k: v for k, v in ended[-1].items() if k not in ("event", "host")}
        rows = self.seconds()
        return {
            k: sum(r[k] for r in rows) for k in ("sent", "ok", "failed", "wrong", "bright", "bright_failed")
        }


def start(
    address: str,
    host: str,
    model: str,
    requests: Path,
    rate: float,
    bright: float,
    seed: int = 1,
    name: str = "traffic",
) -> Flow:
    """Send `rate` requests a second, a share of them brightened, until stopped."""
    record = paths.scratch() / f"{name}-{host}.jsonl"
    record.unlink(missing_ok=True)
    argv = [
        sys.executable, "-m", "demo.traffic", "--address", address, "--host", host, "--model", model,
        "--requests", str(requests), "--rate", str(rate), "--bright", str(bright), "--seed", str(seed),
        "--seconds", str(MAX_SECONDS), "--out", str(record),
    ]  # fmt: skip
    log = (paths.scratch() / f"{name}-{host}.log").open("wb")
    process = subprocess.Popen(argv, cwd=paths.REPO, env=paths.environment(), stdout=log, stderr=log)
    log.close()
    return Flow(host, record, process)
