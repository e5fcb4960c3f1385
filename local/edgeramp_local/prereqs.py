"""What the machine must have: checked first, installed where that is possible, said clearly where it is not."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .shell import CommandFailed, Missing, progress, run

# command to look for → Debian package that brings it
CLUSTER_PACKAGES = {
    "/usr/sbin/runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "ip": "iproute2",
    "iptables": "iptables",
    "nft": "nftables",
    "conntrack": "conntrack",
    "openssl": "openssl",
    "mount": "mount",
    "nsenter": "util-linux",
    "docker-registry": "docker-registry",
}
IMAGE_PACKAGES = {
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "docker-registry": "docker-registry",
    "ip": "iproute2",
    "/usr/bin/busybox": "busybox-static",
}
CGROUP_V1_CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "pids", "devices", "freezer", "blkio")
CGROUP_V2_CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def find(command: str) -> str | None:
    """The path of a command, the administrator's folders included."""
    return shutil.which(command, path=f"{os.environ.get('PATH', '')}:{_SBIN}")


def require_root(what: str) -> None:
    """Raise Missing unless this process is root."""
    if os.geteuid() != 0:
        raise Missing(
            f"{what} makes network namespaces, mounts and cgroups and needs root: run it with sudo -E"
        )


def require_linux() -> None:
    """Raise Missing on a system or processor that the local cluster cannot run on."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        raise Missing(
            f"the local cluster needs Linux on x86-64 or arm64, not {sys.platform} on "
            f"{platform.machine()}: start Docker or Podman, then kind is used instead"
        )


def ensure_packages(wanted: Mapping[str, str]) -> None:
    """Install the Debian packages whose commands are missing; raises Missing where apt cannot."""
    packages = sorted({package for command, package in wanted.items() if find(command) is None})
    if "busybox-static" not in packages and "/usr/bin/busybox" in wanted and _is_dynamic("/usr/bin/busybox"):
        packages.append("busybox-static")
    if not packages:
        return
    words = " ".join(packages)
    if find("apt-get") is None:
        raise Missing(
            f"missing: {words} (Debian's names). There is no apt-get here: install them with your "
            "system's package manager"
        )
    require_root(f"installing {words}")
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    # A docker-registry service of the distribution's own would take port 5000 from ours.
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    with _no_service_starts(), progress(f"installing Debian packages: {words}"):
        try:
            run(install, env=env)
        except CommandFailed:
            run(["apt-get", "update", "-q"], env=env)
            run(install, env=env)


class _no_service_starts:
    """While active, Debian's packages do not start services (policy-rc.d says no)."""

    path = Path("/usr/sbin/policy-rc.d")

    def __enter__(self) -> None:
        self.ours = not self.path.exists()
        if self.ours:
            self.path.write_text("#!/bin/sh\nexit 101\n")
            self.path.chmod(0o755)

    def __exit__(self, *_: object) -> None:
        if self.ours:
            self.path.unlink(missing_ok=True)


def _is_dynamic(path: str) -> bool:
    """Whether an ELF file needs a loader, which an image from scratch does not have."""
    return b"/ld-linux" in Path(path).read_bytes()[:4096]


def pip() -> list[str]:
    """The command of a working pip: this interpreter's, the PATH's or Debian's, installed where there is none."""
    for python in (sys.executable, find("python3"), "/usr/bin/python3"):
        if (
            python
            and subprocess.run(
                [python, "-m", "pip", "--version"], capture_output=True, check=False
            ).returncode
            == 0
        ):
            return [python, "-m", "pip"]
    ensure_packages({"pip-of-no-python": "python3-pip"})
    return ["/usr/bin/python3", "-m", "pip"]


def pip_config() -> list[str]:
    """pip's settings on this machine, from its files and its environment variables, as `pip config list` has them."""
    return subprocess.run(
        [*pip(), "config", "list"], text=True, capture_output=True, check=False
    ).stdout.splitlines()


def cgroup_version(root: Path = Path("/sys/fs/cgroup")) -> int:
    """2 for the unified hierarchy, 1 for one folder per controller; raises Missing without either."""
    if (root / "cgroup.controllers").exists():
        return 2
    absent = [name for name in ("cpu", "memory", "pids") if not (root / name).is_dir()]
    if absent:
        raise Missing(
            f"no cgroup controllers {', '.join(absent)} under {root}: mount cgroups (on a container, "
            "start it with --privileged --cgroupns=host)"
        )
    return 1


def engine() -> str | None:
    """`docker` or `podman` if one is installed and its engine answers, else None; EDGERAMP_ENGINE=none says None."""
    if os.environ.get("EDGERAMP_ENGINE") == "none":
        return None
    for name in ("docker", "podman"):
        if shutil.which(name):
            probe = subprocess.run([name, "info"], capture_output=True, check=False, timeout=20)
            if probe.returncode == 0 and b"ERROR: Cannot connect" not in probe.stdout + probe.stderr:
                return name
    return None


def check_cluster() -> None:
    """Everything the engine-less cluster needs before its first step; raises Missing."""
    require_linux()
    require_root("the local cluster")
    cgroup_version()
    ensure_packages(CLUSTER_PACKAGES)
