"""A node's cgroup on both versions, on made trees."""

from __future__ import annotations

from pathlib import Path

import pytest
from local.edgeramp_local import cgroups, prereqs
from local.edgeramp_local.config import NODES

NODE = NODES[0].name


@pytest.fixture
def version1(tmp_path: Path) -> Path:
    for name in ("cpu", "cpuset", "memory", "pids", "systemd"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").write_text("")
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "cpuset" / "cpuset.mems").write_text("0\n")
    (tmp_path / "cpuacct").symlink_to("cpu")
    (tmp_path / "unified").mkdir()
    return tmp_path


@pytest.fixture
def version2(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("")
    return tmp_path


def test_version_1_gets_a_folder_in_every_tree_and_a_usable_cpuset(version1: Path) -> None:
    assert prereqs.cgroup_version(version1) == 1
    cgroups.create(NODE, version1)
    assert all((version1 / name / NODE).is_dir() for name in ("cpu", "cpuset", "memory", "pids", "systemd"))
    assert (version1 / "cpuset" / NODE / "cpuset.cpus").read_text() == "0-1\n"
    assert (version1 / "cpuset" / NODE / "cpuset.mems").read_text() == "0\n"


def test_version_2_hands_the_controllers_down(version2: Path) -> None:
    assert prereqs.cgroup_version(version2) == 2
    cgroups.create(NODE, version2)
    for folder in (version2, version2 / NODE):
        assert (folder / "cgroup.subtree_control").read_text() == "+cpu +cpuset +memory +pids"


def test_what_is_left_is_listed_and_removed(version1: Path) -> None:
    (version1 / "cpu" / NODE / "kubepods" / "pod1").mkdir(parents=True)
    (version1 / "memory" / NODE).mkdir()
    assert len(cgroups.leftovers(version1)) == 2
    cgroups.remove(version1)
    assert cgroups.leftovers(version1) == []


def test_a_cgroup_that_cannot_be_removed_still_shows(version1: Path) -> None:
    (version1 / "cpu" / NODE).mkdir()
    (version1 / "cpu" / NODE / "held").write_text("")
    cgroups.remove(version1, timeout=0.1)
    assert cgroups.leftovers(version1) == [f"cgroup {version1 / 'cpu' / NODE}"]
