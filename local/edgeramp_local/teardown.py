"""Stopping the cluster so that nothing of it is left, and proving that."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

from . import cgroups, network, nodes, processes
from .config import NODES, state_dir
from .shell import Missing, run, say, wait_for

# The kubelet sets these for the whole machine.
SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
_LOCKS = ("lock", "images.lock", "registry.lock")
_KEPT = (*_LOCKS, "images.json", "images-values.yaml", "nodes")


def remember_sysctls() -> None:
    """Note the machine's settings before the kubelets change them; an older note wins."""
    note = state_dir() / "sysctls.json"
    if not note.exists():
        paths = [Path("/proc/sys") / name for name in SYSCTLS]
        note.write_text(json.dumps({str(path): path.read_text().strip() for path in paths if path.exists()}))


def _restore_sysctls() -> None:
    note = state_dir() / "sysctls.json"
    for path, value in (json.loads(note.read_text()) if note.exists() else {}).items():
        if Path(path).read_text().strip() != value:
            Path(path).write_text(value)
    note.unlink(missing_ok=True)


def down(keep_images: bool = True) -> None:
    """End everything of the cluster; raises Missing with a list if something is left."""
    nodes.stop_parts(grace=2.0, keep_images=keep_images)
    processes.stop(processes.recorded().values(), grace=5.0)
    for pid in strays():
        os.kill(pid, signal.SIGKILL)
    wait_for("the last processes to end", lambda: not strays(), timeout=10)
    cgroups.remove()
    unmount(state_dir())
    network.down()
    _restore_sysctls()
    nodes.remove_host_folders()
    _clear_state(keep_images)
    demand_nothing_left()


def demand_nothing_left() -> None:
    """Raise Missing with a list of everything that a stopped cluster must not leave behind."""
    left = leftovers()
    if left:
        raise Missing("the cluster did not go away completely; still there:\n  " + "\n  ".join(left))


def _clear_state(keep_images: bool) -> None:
    keep = _KEPT if keep_images else _LOCKS
    for entry in state_dir().iterdir() if state_dir().exists() else ():
        if entry.name in keep:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def strays() -> set[int]:
    """Processes of ours, recorded or not: in our cgroups, in our network namespaces, or run with our state folder."""
    found = cgroups.pids()
    for node in NODES:
        if (network.NETNS / node.name).exists():
            listing = run(["ip", "netns", "pids", node.name], check=False).stdout
            found.update(int(word) for word in listing.split())
    marker = f"{state_dir()}/".encode()
    for pid in processes.all_pids():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if Path(words[0].decode(errors="replace")).name in _DAEMONS and any(
            marker in word for word in words[1:]
        ):
            found.add(pid)
    return {pid for pid in found if pid != os.getpid() and processes.start_time(pid)}


_DAEMONS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "docker-registry",
    "containerd",
    "kubelet",
    "kube-proxy",
    "nsenter",
    "unshare",
)


def unmount(top: Path) -> None:
    """Unmount whatever is mounted under a folder, the deepest first."""
    for point in sorted(mounts_under(top), reverse=True):
        run(["umount", "-l", point], check=False)


def mounts_under(top: Path) -> list[str]:
    """Mount points under a folder."""
    return mount_points(Path("/proc/mounts").read_text(), top)


def mount_points(table: str, top: Path) -> list[str]:
    """The mount points under `top` in a table such as /proc/mounts."""
    points = [line.split()[1] for line in table.splitlines()]
    return [point for point in points if point.startswith(f"{top}/")]


def leftovers() -> list[str]:
    """Everything that a stopped cluster must not leave behind and that is there."""
    found = [f"process {pid}: {_command(pid)}" for pid in sorted(strays())]
    found += [f"mount {point}" for point in mounts_under(state_dir())]
    return found + network.leftovers() + cgroups.leftovers()


def _command(pid: int) -> str:
    try:
        return (
            Path(f"/proc/{pid}/cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode(errors="replace")[:120]
            .strip()
        )
    except OSError:
        return "(gone)"


def say_down() -> None:
    say("nothing is left: no process, mount, namespace, cgroup, link or route of the cluster")
