"""Long-running processes of the cluster: started detached, known by pid and start time, stopped by pid only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .config import state_dir
from .shell import write_atomic


@dataclass(frozen=True)
class Recorded:
    """A process that we started; `start` is its start time in clock ticks since boot (field 22 of /proc/PID/stat)."""

    name: str
    pid: int
    start: str


def _stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command name (state first); empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def start_time(pid: int) -> str:
    """When the process started, in ticks since boot; empty for a process that is gone or a zombie."""
    fields = _stat_fields(pid)
    return fields[19] if fields and fields[0] not in "ZX" else ""


def parent(pid: int) -> int:
    """The parent's process id, 0 if there is none."""
    fields = _stat_fields(pid)
    return int(fields[1]) if fields else 0


def all_pids() -> list[int]:
    """Every process id that this process can see."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def child_of(pid: int) -> int:
    """The first child of a process, 0 if it has none (yet)."""
    return next((other for other in all_pids() if parent(other) == pid), 0)


def _folder() -> Path:
    return state_dir() / "run"


def log_path(name: str) -> Path:
    """The log of a component."""
    return state_dir() / "log" / f"{name}.log"


def start(name: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None) -> int:
    """Start a component in a session of its own and record it; returns its process id."""
    log = log_path(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    _folder().mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        child = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env={**os.environ, **(env or {})},
            start_new_session=True,
            cwd="/",
        )
    record = {"pid": child.pid, "start": start_time(child.pid), "boot": boot_id()}
    write_atomic(_folder() / f"{name}.json", json.dumps(record))
    return child.pid


def boot_id() -> str:
    """The kernel's identity of this boot: process ids of an earlier one mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def recorded() -> dict[str, Recorded]:
    """What was started in this boot, by name, alive or not."""
    found = {}
    for path in sorted(_folder().glob("*.json")):
        data = json.loads(path.read_text())
        if data["boot"] == boot_id():
            found[path.stem] = Recorded(path.stem, data["pid"], data["start"])
    return found


def alive(process: Recorded | None) -> bool:
    """Whether this very process (not a later one with its number) still runs."""
    return process is not None and bool(process.start) and start_time(process.pid) == process.start


def last_words(name: str, lines: int = 8) -> str:
    """The end of a component's log, for error messages."""
    try:
        return "\n".join(log_path(name).read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"


def stop(processes: Iterable[Recorded], grace: float = 5.0) -> None:
    """End processes: SIGTERM, then SIGKILL after `grace` seconds; returns when all are gone."""
    living = [process for process in processes if alive(process)]
    for process in living:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while any(alive(process) for process in living) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in living:
        if alive(process):
            _signal(process, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while any(alive(process) for process in living) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in processes:
        (_folder() / f"{process.name}.json").unlink(missing_ok=True)


def _signal(process: Recorded, number: signal.Signals) -> None:
    if alive(process):
        os.kill(process.pid, number)
