"""The parent process: a killed child still ends in a summary. cgroup files of both versions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeramp.report import ExitCode, parse_summary
from edgeramp_harness import cgroups
from edgeramp_harness.errors import JobError
from edgeramp_harness.probe import cpu_model, isa
from edgeramp_harness.store import require_disk

from .conftest import Bench, Things


def test_the_command_line_runs_a_verb_in_a_child_and_keeps_its_exit_code(
    bench: Bench, things: Things
) -> None:
    good = bench.run("assess", process=True, model={"digest": things.model, "format": "onnx"}, data={})
    assert good.code == 0, good.log
    bad = bench.run("assess", process=True, model={"digest": things.model}, data={})
    assert (bad.code, bad.failure.code) == (10, 10)


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [
        (signal.SIGKILL, 20, "Killed"),
        (signal.SIGSEGV, 12, "ToolCrashed"),
        (signal.SIGILL, 13, "HardwareMismatch"),
    ],
)
def test_a_child_that_dies_of_a_signal_is_explained(
    bench: Bench, things: Things, tmp_path: Path, number: signal.Signals, code: int, reason: str
) -> None:
    spec = tmp_path / "spec.json"
    os.mkfifo(spec)  # the child waits for its spec, so it is there to be killed
    command = [sys.executable, "-m", "edgeramp_harness", "assess", "--spec", str(spec)]
    parent = subprocess.Popen([*command, "--termination", str(tmp_path / "t"), "--work", str(tmp_path)])
    os.kill(_child_of(parent.pid), number)
    assert parent.wait(30) == code
    failure = parse_summary((tmp_path / "t").read_text())
    assert failure.reason == reason  # type: ignore[union-attr]


def _child_of(pid: int) -> int:
    for _ in range(500):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children and b"edgeramp_harness" in Path(f"/proc/{children[0]}/cmdline").read_bytes():
            return int(children[0])
        time.sleep(0.02)  # the parent is starting
    raise AssertionError("the parent started no child")


@pytest.fixture
def small_memory() -> Iterator[str]:
    """cgroup.procs of a cgroup (version 1) with 48 MB."""
    group = Path("/sys/fs/cgroup/memory") / f"edgeramp-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(48 * 1024 * 1024))
    except OSError as error:
        pytest.skip(f"needs root and a writable memory cgroup (version 1): {error}")
    yield str(group / "cgroup.procs")
    for _ in range(100):
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(0.02)  # the kernel is taking the last process out


def test_out_of_memory_ends_with_137(bench: Bench, things: Things, small_memory: str) -> None:
    enter = ("sh", "-c", f'echo $$ > {small_memory}; exec "$@"', "sh")
    candidate = {"id": "x", "framework": "onnxruntime", "technique": "static-int8", "precision": "int8"}
    model, data = {"digest": things.model, "format": "onnx"}, {"digest": things.calibration}
    result = bench.run("prepare", prefix=enter, candidate=candidate, model=model, calibration=data)
    assert (result.code, result.failure.reason) == (137, "OutOfMemory"), result.log


def _tree(root: Path, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "cgroup", root / "proc"


@pytest.mark.parametrize(
    ("controller", "file", "files", "expected"),
    [
        ("cpu", "cpu.stat", {"proc": "0::/\n", "cgroup/cpu.stat": "throttled_usec 1\n"}, "cgroup/cpu.stat"),
        ("cpu", "cpu.stat", {"proc": "4:cpu,cpuacct:/a/b\n", "cgroup/cpu,cpuacct/cpu.stat": ""}, "cgroup/cpu,cpuacct/cpu.stat"),
        ("memory", "memory.oom_control", {"proc": "4:memory:/pod\n", "cgroup/memory/memory.oom_control": "",
                                          "cgroup/memory/pod/memory.oom_control": ""}, "cgroup/memory/pod/memory.oom_control"),
        ("memory", "memory.events", {"proc": "0::/pod\n", "cgroup/pod/memory.events": ""}, "cgroup/pod/memory.events"),
    ],
)  # fmt: skip
def test_cgroup_files_are_found_in_both_versions(
    tmp_path: Path, controller: str, file: str, files: dict[str, str], expected: str
) -> None:
    root, proc = _tree(tmp_path, files)
    assert cgroups._paths(controller, file, root, proc)[0] == tmp_path / expected


def test_steal_is_a_share_of_all_cpu_time(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu 100 0 50 800 0 0 0 50 0 0\n")
    before = cgroups.cpu_times(stat)
    stat.write_text("cpu 140 0 60 840 0 0 0 60 0 0\n")
    assert cgroups.cpu_times(stat).steal_share_since(before) == pytest.approx(0.1)


def test_own_memory_is_read() -> None:
    memory = cgroups.process_memory()
    assert memory.peak_rss >= memory.rss > memory.private_dirty > 0


def test_isa_names_are_those_of_node_feature_discovery(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("model name : Some CPU\nflags : fpu avx2 avx512_vnni amx_int8 avx_vnni avx512_bf16\n")
    assert isa(info) == ("AMXINT8", "AVX2", "AVX512BF16", "AVX512VNNI", "AVXVNNI")
    assert cpu_model(info) == "Some CPU"


def test_a_disk_that_is_too_small_is_predicted(tmp_path: Path) -> None:
    with pytest.raises(JobError) as caught:
        require_disk(tmp_path, 2**60)
    assert caught.value.code is ExitCode.PREDICTED_OUT_OF_RESOURCES
