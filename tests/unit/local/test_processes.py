"""Processes are known by number and start time, and nothing else is ever ended."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from local.edgeramp_local import processes, status, teardown
from local.edgeramp_local.shell import CommandFailed, Missing, run, wait_for


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("EDGERAMP_STATE", str(tmp_path))
    yield tmp_path
    processes.stop(processes.recorded().values(), grace=1)


def test_a_started_process_is_alive_until_it_is_stopped() -> None:
    pid = processes.start("sleeper", ["sleep", "60"])
    process = processes.recorded()["sleeper"]
    assert process.pid == pid and processes.alive(process)
    processes.stop([process])
    assert not processes.alive(process)
    assert processes.recorded() == {}


def test_a_later_process_with_the_same_number_is_not_taken_for_ours_and_not_ended() -> None:
    other = subprocess.Popen(["sleep", "60"])
    processes.start("sleeper", ["sleep", "60"])
    stale = dataclasses.replace(processes.recorded()["sleeper"], pid=other.pid, start="1")
    assert not processes.alive(stale)
    processes.stop([stale])
    assert other.poll() is None
    other.kill()
    other.wait()


def test_a_process_that_ignores_the_polite_signal_is_ended_all_the_same(state: Path) -> None:
    ready = state / "ready"
    processes.start("stubborn", ["sh", "-c", f"trap '' TERM; touch {ready}; while :; do sleep 1; done"])
    wait_for("the trap", ready.exists, timeout=10)
    process = processes.recorded()["stubborn"]
    processes.stop([process], grace=0.2)
    assert not processes.alive(process)


def test_what_an_earlier_boot_recorded_means_nothing(state: Path) -> None:
    processes.start("sleeper", ["sleep", "60"])
    record = state / "run" / "sleeper.json"
    mine = processes.recorded()["sleeper"]
    record.write_text(record.read_text().replace(processes.boot_id(), "another-boot"))
    assert processes.recorded() == {}
    processes.stop([mine])


def test_the_end_of_a_log_is_at_hand(state: Path) -> None:
    processes.start("talker", ["sh", "-c", "echo first; echo last"])
    wait_for("the log", lambda: "last" in processes.last_words("talker"), timeout=10)
    assert processes.last_words("talker", lines=1) == "last"
    assert processes.last_words("nobody") == "(no log)"


def test_a_daemon_of_ours_that_nobody_recorded_is_found_as_a_stray(state: Path) -> None:
    child = subprocess.Popen(
        ["kubelet", "-c", "read line", f"{state}/kubelet.yaml"], executable="/bin/sh", stdin=subprocess.PIPE
    )
    wait_for("the stray", lambda: child.pid in teardown.strays(), timeout=10)
    with pytest.raises(Missing, match=rf"still there:\n(.*\n)*  process {child.pid}: kubelet"):
        teardown.demand_nothing_left()
    child.kill()
    child.wait()
    assert child.pid not in teardown.strays()


def test_only_mounts_under_the_state_folder_count() -> None:
    table = "tmpfs /var/lib/edgeramp/x tmpfs rw 0 0\ntmpfs /var/lib/edgeramp2/y tmpfs rw 0 0\nproc /proc proc rw 0 0\n"
    assert teardown.mount_points(table, Path("/var/lib/edgeramp")) == ["/var/lib/edgeramp/x"]


def test_a_failed_command_says_what_it_was_and_what_it_said() -> None:
    with pytest.raises(CommandFailed, match=r"`sh -c echo why >&2; exit 3` failed with exit code 3:\nwhy"):
        run(["sh", "-c", "echo why >&2; exit 3"])
    with pytest.raises(Missing, match="no-such-command is not installed"):
        run(["no-such-command"])


def test_waiting_ends_with_the_name_of_what_did_not_come() -> None:
    with pytest.raises(Missing, match="gave up after 0 s waiting for a miracle"):
        wait_for("a miracle", lambda: False, timeout=0)


def test_the_table_marks_what_is_down_and_the_whole_is_then_not_ok() -> None:
    rows = [status.Line("etcd", True, "pid 7"), status.Line("kube-scheduler", False, "not started")]
    assert status.table(rows) == "ok    etcd            pid 7\nDOWN  kube-scheduler  not started"
    assert not status.all_ok(rows) and status.all_ok(rows[:1])
