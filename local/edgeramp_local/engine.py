"""The same cluster on kind, where Docker or Podman answers: kind-config.yaml, a registry container, our images.

kind brings its own CoreDNS and StorageClass; the gateway, the labels and everything above are the same. Image references
are those of the engine-less cluster: in kind's nodes containerd maps that address to the registry container.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import addons, controlplane, images, prereqs, probe, registry, tools
from .config import KIND_CLUSTER, NODES, REGISTRY, REPO, kubeconfig, state_dir
from .dockerfiles import uses_base
from .shell import Missing, progress, run, say, stream, wait_for
from .status import Line, addon_lines, node_line

REGISTRY_CONTAINER = "edgeramp-registry"
REGISTRY_IMAGE = "docker.io/library/registry:2"
PUBLISHED = "127.0.0.1:5000"
IMAGES = ("envoy-gateway", "envoy")
BINARIES = ("kind", "kubectl", "helm", "envoy-gateway", "envoy")
WORKERS = tuple(f"{KIND_CLUSTER}-worker{number}" for number in ("", "2", "3"))


@dataclass(frozen=True)
class Engine:
    """Docker or Podman, by the name of its command."""

    command: str

    def run(self, *argv: str | Path, stdin: str | None = None, check: bool = True) -> str:
        return run([self.command, *argv], stdin=stdin, check=check).stdout

    def kind(self, *argv: str | Path, check: bool = True) -> str:
        env = {"KIND_EXPERIMENTAL_PROVIDER": self.command, "PATH": tools.path_with_tools()}
        return run([tools.binary("kind"), *argv], env=env, check=check).stdout

    def exists(self) -> bool:
        """Whether kind's cluster is there."""
        return KIND_CLUSTER in self.kind("get", "clusters", check=False).split()


def find() -> Engine | None:
    """The engine that answers, None where none does."""
    name = prereqs.engine()
    return Engine(name) if name else None


def up(engine: Engine) -> None:
    """Create the cluster unless it is there, then bring registry, labels, images and gateway to their state."""
    began = time.monotonic()
    tools.ensure(BINARIES)
    state_dir().mkdir(parents=True, exist_ok=True)
    _start_registry(engine)
    if not engine.exists():
        create = ("create", "cluster", "--name", KIND_CLUSTER, "--config", str(REPO / "kind-config.yaml"))
        with progress(f"creating the cluster with kind on {engine.command}"):
            engine.kind(*create, "--kubeconfig", kubeconfig(), "--wait", "180s")
    engine.kind("export", "kubeconfig", "--name", KIND_CLUSTER, "--kubeconfig", kubeconfig())
    _connect_registry(engine)
    _label_nodes()
    addons.install_gateway(images.build(IMAGES, builder(engine)))
    wait_for("all nodes to be Ready", lambda: controlplane.ready_nodes() >= set(WORKERS), timeout=180)
    addons.wait_available()
    say(f"cluster up in {time.monotonic() - began:.1f} s: kubeconfig {kubeconfig()}")


def down(engine: Engine) -> None:
    """Delete the cluster and the registry container; images stay in the engine's own store."""
    if tools.binary("kind").exists():
        engine.kind("delete", "cluster", "--name", KIND_CLUSTER, check=False)
    engine.run("rm", "--force", "--volumes", REGISTRY_CONTAINER, check=False)
    left = [name for name in engine.run("ps", "--all", "--format", "{{.Names}}").split()
            if name == REGISTRY_CONTAINER or name.startswith(f"{KIND_CLUSTER}-")]  # fmt: skip
    if left:
        raise Missing(f"these containers did not go away: {', '.join(left)}")
    kubeconfig().unlink(missing_ok=True)


def preload(engine: Engine, refs: Iterable[str]) -> None:
    """Pull images on every worker."""
    for worker in WORKERS:
        for ref in refs:
            engine.run("exec", worker, "crictl", "pull", images.by_digest(ref))


def lines(engine: Engine) -> list[Line]:
    """The rows of the status table."""
    running = engine.run("ps", "--format", "{{.Names}}").split()
    names = (REGISTRY_CONTAINER, f"{KIND_CLUSTER}-control-plane", *WORKERS)
    found = [Line(name, name in running, f"container on {engine.command}") for name in names]
    api = kubeconfig().exists() and controlplane.healthy("/readyz")
    found.append(Line("API ready", api, str(kubeconfig())))
    return [*found, *(node_line(name) for name in WORKERS if api), *(addon_lines() if api else [])]


def builder(engine: Engine) -> images.Builder:
    """Images by the engine's own build, pushed to the published port of the registry."""

    def build(name: str, target: str) -> None:
        text = images.dockerfile(name).read_text()
        with progress(f"building image {name} with {engine.command}"), images.staged_tools(text) as staged:
            argv = [engine.command, "build", f"--build-context=tools={staged}", f"--tag={PUBLISHED}/{target}"]
            argv += ["--pull"] if uses_base(text) else []
            stream([*argv, f"--file={images.dockerfile(name)}", REPO], log=images.log_path(name))

    def push(_: str, target: str) -> None:
        insecure = ["--tls-verify=false"] if engine.command == "podman" else []
        engine.run("push", *insecure, f"{PUBLISHED}/{target}")

    return images.Builder(build, push, registry=PUBLISHED)


def _start_registry(engine: Engine) -> None:
    if REGISTRY_CONTAINER in engine.run("ps", "--format", "{{.Names}}").split():
        return
    engine.run("rm", "--force", REGISTRY_CONTAINER, check=False)
    engine.run(
        "run", "--detach", "--name", REGISTRY_CONTAINER, "--publish", f"{PUBLISHED}:5000", REGISTRY_IMAGE
    )


def _connect_registry(engine: Engine) -> None:
    """Let kind's nodes reach the registry container under the address that image references carry."""
    engine.run("network", "connect", "kind", REGISTRY_CONTAINER, check=False)  # again is harmless
    folder = f"/etc/containerd/certs.d/{REGISTRY}"
    text = registry.hosts_toml(f"{REGISTRY_CONTAINER}:5000")
    for node in (f"{KIND_CLUSTER}-control-plane", *WORKERS):
        write = f"mkdir -p {folder} && cat > {folder}/hosts.toml"
        engine.run("exec", "--interactive", node, "sh", "-c", write, stdin=text)


def _label_nodes() -> None:
    machine = probe.this_machine()
    for worker, node in zip(WORKERS, NODES, strict=True):
        labels = [f"{name}={value}" for name, value in probe.node_labels(node, machine).items()]
        controlplane.kubectl("label", "--overwrite", "node", worker, *labels)
