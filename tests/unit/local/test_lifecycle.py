"""A whole life of a cluster beside the one in use: up, up again, a crash, up, down, nothing left."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local.edgeramp_local.config import REPO

SLOT = "7"
STATE = Path(f"/var/lib/edgeramp-{SLOT}")
pytestmark = [
    pytest.mark.long,
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="a cluster needs root"),
]


def cluster(*argv: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "EDGERAMP_SLOT": SLOT, "EDGERAMP_STATE": str(STATE), "EDGERAMP_ENGINE": "none"}
    command = [sys.executable, REPO / "local" / "cluster.py", *argv]
    return subprocess.run(command, env=env, text=True, capture_output=True, check=False, timeout=600)


@pytest.fixture(scope="module")
def started() -> Iterator[str]:
    done = cluster("up")
    try:
        assert done.returncode == 0, done.stderr
        yield done.stderr
    finally:
        cluster("down", "--purge")
        shutil.rmtree(STATE, ignore_errors=True)


def traces() -> list[str]:
    """What this test itself can see of the cluster, by other means than the code under test."""
    links = re.findall(
        rf"\b(v?er{SLOT}\S*)", subprocess.run(["ip", "-br", "link"], text=True, capture_output=True).stdout
    )
    namespaces = (
        [path.name for path in Path("/run/netns").glob(f"er{SLOT}-*")] if Path("/run/netns").exists() else []
    )
    routes = [line for line in subprocess.run(["ip", "route"], text=True, capture_output=True).stdout.splitlines()
              if f"172.3{int(SLOT) - 1}.0." in line or f"10.{244 + int(SLOT)}." in line]  # fmt: skip
    mounts = [
        line
        for line in Path("/proc/mounts").read_text().splitlines()
        if f"er{SLOT}-" in line or str(STATE) in line
    ]
    groups = [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/er{SLOT}-n*")]
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    processes = [line.decode(errors="replace") for line in commands if f"{STATE}/".encode() in line]
    return [*links, *namespaces, *routes, *mounts, *groups, *processes]


def pid(status: str, name: str) -> int:
    found = re.search(rf"{name} +pid (\d+)", status)
    assert found, status
    return int(found[1])


def test_the_first_start_tells_when_the_nodes_were_ready(started: str) -> None:
    seconds = re.search(r"all 3 nodes Ready ([0-9.]+) s after", started)
    assert seconds and float(seconds[1]) < 60
    assert len(traces()) > 10


def test_up_on_a_running_cluster_changes_nothing(started: str) -> None:
    before = cluster("status")
    again = cluster("up")
    assert before.returncode == again.returncode == 0
    assert "up already" in again.stderr
    assert pid(cluster("status").stdout, "kube-apiserver") == pid(before.stdout, "kube-apiserver")


def test_a_crash_shows_in_status_and_the_next_up_mends_it(started: str) -> None:
    victim = pid(cluster("status").stdout, f"er{SLOT}-n2-init")
    os.kill(victim, signal.SIGKILL)
    broken = cluster("status")
    assert broken.returncode == 1
    assert f"DOWN  er{SLOT}-n2-kubelet" in broken.stdout
    mended = cluster("up")
    assert mended.returncode == 0, mended.stderr
    assert "did not end well: cleaning up first" in mended.stderr
    assert cluster("status").returncode == 0


def test_down_leaves_nothing_and_can_be_repeated(started: str) -> None:
    began = time.monotonic()
    done = cluster("down")
    assert done.returncode == 0, done.stderr
    assert "nothing is left" in done.stderr
    assert traces() == []
    assert time.monotonic() - began < 120
    assert cluster("down").returncode == 0
