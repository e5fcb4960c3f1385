"""What the kernel says about this container: throttling, OOM kills, steal. Both cgroup versions."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def _paths(
    controller: str, file: str, root: Path = ROOT, proc: Path = Path("/proc/self/cgroup")
) -> list[Path]:
    """Candidates for `file`, most specific first: v1 with and without our own path, then v2."""
    own: dict[str, str] = {}
    try:
        for line in proc.read_text().splitlines():
            _, names, path = line.split(":", 2)
            for name in names.split(","):
                own[name] = path.lstrip("/")
    except (OSError, ValueError):
        pass
    found = []
    for mount in (controller, "cpu,cpuacct", "cpuacct,cpu") if controller == "cpu" else (controller,):
        found += [root / mount / own.get(controller, ""), root / mount]
    found += [root / own.get("", ""), root, root / "unified" / own.get("", "")]
    return [p / file for p in found if (p / file).is_file()]


def _fields(path: Path) -> dict[str, int]:
    values = {}
    for line in path.read_text().splitlines():
        parts = line.split()
        if len(parts) == 2 and parts[1].isdigit():
            values[parts[0]] = int(parts[1])
    return values


def throttled_seconds() -> float | None:
    """Time for which the CPU quota held this container's threads back; None where the kernel does not say."""
    for path in _paths("cpu", "cpu.stat"):
        fields = _fields(path)
        if "throttled_usec" in fields:
            return fields["throttled_usec"] / 1e6
        if "throttled_time" in fields:
            return fields["throttled_time"] / 1e9
    return None


def oom_kills() -> int | None:
    """How many processes of this container the OOM killer ended; None where the kernel does not say."""
    for controller, file in (("memory", "memory.events"), ("memory", "memory.oom_control")):
        for path in _paths(controller, file):
            fields = _fields(path)
            if "oom_kill" in fields:
                return fields["oom_kill"]
    return None


@dataclass(frozen=True)
class CpuTimes:
    """Ticks of all CPUs of the machine since boot."""

    total: int
    steal: int

    def steal_share_since(self, before: CpuTimes) -> float:
        """Share of CPU time that the hypervisor took away since `before`."""
        ticks = self.total - before.total
        return (self.steal - before.steal) / ticks if ticks > 0 else 0.0


def cpu_times(stat: Path = Path("/proc/stat")) -> CpuTimes:
    """Reads the first line of /proc/stat; zeros where there is none."""
    try:
        values = [int(v) for v in stat.read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return CpuTimes(0, 0)
    return CpuTimes(sum(values), values[7] if len(values) > 7 else 0)


@dataclass(frozen=True)
class ProcessMemory:
    """Bytes of one process. `private_dirty` is what only it uses and cannot be dropped."""

    rss: int
    private_dirty: int
    peak_rss: int


def process_memory(pid: int | str = "self") -> ProcessMemory:
    """From smaps_rollup (falls back to statm where the kernel lacks it)."""
    rss = dirty = 0
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            key, _, rest = line.partition(":")
            if key == "Rss":
                rss = int(rest.split()[0]) * 1024
            elif key == "Private_Dirty":
                dirty = int(rest.split()[0]) * 1024
    except (OSError, ValueError):
        rss = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = rss
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            peak = int(line.split()[1]) * 1024
    return ProcessMemory(rss, dirty, peak)
