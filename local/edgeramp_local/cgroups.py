"""A cgroup per node, on version 1 (one tree per controller) and version 2 (one tree)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from .config import NODES
from .prereqs import CGROUP_V2_CONTROLLERS, cgroup_version
from .shell import Missing

ROOT = Path("/sys/fs/cgroup")


def create(node: str, root: Path = ROOT) -> None:
    """Make the node's cgroup under every controller; raises Missing where the kernel refuses."""
    if cgroup_version(root) == 2:
        _create_v2(node, root)
        return
    for tree in _v1_trees(root):
        (tree / node).mkdir(exist_ok=True)
    cpuset = root / "cpuset"
    if cpuset.is_dir():
        # An empty cpuset admits no process.
        for name in ("cpuset.cpus", "cpuset.mems"):
            (cpuset / node / name).write_text((cpuset / name).read_text())


def _create_v2(node: str, root: Path) -> None:
    enable = " ".join(f"+{name}" for name in CGROUP_V2_CONTROLLERS)
    try:
        (root / "cgroup.subtree_control").write_text(enable)
        (root / node).mkdir(exist_ok=True)
        (root / node / "cgroup.subtree_control").write_text(enable)
    except OSError as error:
        raise Missing(
            f"cannot hand the controllers {', '.join(CGROUP_V2_CONTROLLERS)} to {root / node} ({error}): "
            "inside a container, start it with --privileged --cgroupns=host"
        ) from error


def _v1_trees(root: Path) -> Iterator[Path]:
    """The version 1 hierarchies; cpu and cpuacct may be links to one."""
    seen = set()
    for tree in sorted(root.iterdir()):
        if tree.name != "unified" and (tree / "cgroup.procs").exists() and tree.resolve() not in seen:
            seen.add(tree.resolve())
            yield tree


def _node_folders(root: Path) -> Iterator[Path]:
    trees = [root] if cgroup_version(root) == 2 else [*_v1_trees(root), root / "unified"]
    for tree in trees:
        for node in NODES:
            if (tree / node.name).is_dir():
                yield tree / node.name


def pids(root: Path = ROOT) -> set[int]:
    """Every process in a cgroup of ours."""
    found: set[int] = set()
    for folder in _node_folders(root):
        for listing in folder.rglob("cgroup.procs"):
            try:
                found.update(int(word) for word in listing.read_text().split() if word != "0")
            except OSError:
                continue
    return found


def remove(root: Path = ROOT, timeout: float = 10.0) -> None:
    """Kill what is left in our cgroups and remove them, leaves first; what stays shows in `leftovers`."""
    deadline = time.monotonic() + timeout
    while leftovers(root) and time.monotonic() < deadline:
        for pid in pids(root):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for top in list(_node_folders(root)):
            _remove_tree(top)
        if leftovers(root):
            time.sleep(0.05)


def _remove_tree(top: Path) -> None:
    folders = [Path(path) for path, _, _ in os.walk(top, topdown=False)]
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            continue


def leftovers(root: Path = ROOT) -> list[str]:
    """Cgroups of ours that exist."""
    return [f"cgroup {folder}" for folder in _node_folders(root)]
