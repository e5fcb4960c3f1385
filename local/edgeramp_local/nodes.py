"""Worker nodes: each a set of Linux namespaces (network, mount, process, host name, IPC) with a first process that
holds them, and inside it a containerd, a kubelet and a kube-proxy of its own.

The first process is the root of the node's process namespace: when it dies the kernel ends everything in the node,
and with the last process go the node's mounts. That is what makes a clean stop possible.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import cgroups, images, network, pki, processes, registry, tools
from .config import DNS_IP, NODES, POD_CIDR, NodeSpec, cache_dir, state_dir
from .probe import node_labels
from .shell import Missing, run, say, wait_for

SOCKET = "/run/containerd/containerd.sock"
# Folders that every node has for itself, at the same path in each node as on a real one.
PRIVATE = (
    "/var/lib/kubelet",
    "/var/lib/containerd",
    "/var/lib/cni",
    "/var/log/pods",
    "/var/log/containers",
    "/opt/local-path-provisioner",
)
VOLATILE = ("/run/containerd", "/run/netns")
PARTS = ("init", "containerd", "kubelet", "kube-proxy")


def component(node: NodeSpec, part: str) -> str:
    """The name under which a part of a node is recorded and logs."""
    return f"{node.name}-{part}"


def start_all(pause_image: str, machine: dict[str, str]) -> None:
    """Start every node, all at the same time."""
    _host_folders()
    with ThreadPoolExecutor(len(NODES)) as pool:
        list(pool.map(lambda node: _start(node, pause_image, machine), NODES))


def _start(node: NodeSpec, pause_image: str, machine: dict[str, str]) -> None:
    network.up_node(node)
    cgroups.create(node.name)
    _write_config(node, pause_image)
    _prepare_store(node)
    _start_init(node)
    enter = [*enter_argv(node), "/usr/bin/env", f"PATH={tools.path_with_tools()}"]
    processes.start(
        component(node, "containerd"),
        [*enter, tools.binary("containerd"), "-c", _conf(node) / "containerd.toml"],
    )
    wait_for(
        f"containerd of {node.name}",
        lambda: _alive(node, "containerd") and _inside(node, SOCKET).exists(),
        30,
    )
    labels = ",".join(f"{name}={value}" for name, value in sorted(node_labels(node, machine).items()))
    processes.start(
        component(node, "kubelet"),
        [
            *enter,
            tools.binary("kubelet"),
            f"--kubeconfig={_conf(node) / 'kubelet.conf'}",
            f"--config={_conf(node) / 'kubelet.yaml'}",
            f"--hostname-override={node.name}",
            f"--node-ip={node.ip}",
            f"--node-labels={labels}",
        ],
    )
    processes.start(
        component(node, "kube-proxy"),
        [
            *enter,
            tools.binary("kube-proxy"),
            f"--kubeconfig={_conf(node) / 'kube-proxy.conf'}",
            f"--cluster-cidr={POD_CIDR}",
            "--proxy-mode=nftables",
            f"--hostname-override={node.name}",
            "--conntrack-max-per-core=0",
        ],
    )


def _conf(node: NodeSpec) -> Path:
    return state_dir() / "conf" / node.name


def _host_folders() -> None:
    """Mount points have to exist on the host; those made here are noted, so that `down` removes them."""
    made = [path for path in PRIVATE + VOLATILE if not Path(path).exists()]
    for path in made:
        Path(path).mkdir(parents=True, exist_ok=True)
    note = state_dir() / "made-folders"
    known = note.read_text().split() if note.exists() else []
    note.write_text("\n".join(dict.fromkeys([*known, *made])))


def remove_host_folders() -> None:
    """Remove the empty mount points that `start_all` made on the host."""
    note = state_dir() / "made-folders"
    for path in note.read_text().split() if note.exists() else []:
        try:
            Path(path).rmdir()
        except OSError:
            continue
    note.unlink(missing_ok=True)


def _start_init(node: NodeSpec) -> None:
    script = _conf(node) / "init.sh"
    script.write_text(init_script(node))
    for path in PRIVATE:
        (node.home / path.strip("/").replace("/", "-")).mkdir(parents=True, exist_ok=True)
    processes.start(
        component(node, "init"),
        network.in_netns(
            node,
            "unshare",
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--propagation",
            "private",
            "/bin/sh",
            str(script),
        ),
    )
    here = "/run/containerd/here"
    wait_for(
        f"the namespaces of {node.name}", lambda: _alive(node, "init") and _inside(node, here).exists(), 20
    )


def init_script(node: NodeSpec) -> str:
    """What the node's first process does before it becomes `pause`."""
    q = shlex.quote
    lines = ["set -eu", f"hostname {q(node.name)}"]
    # Mounts of image builds must not be held open by the node's copy of the mount table.
    keep_out = f"{cache_dir()}/containers"
    lines.append(
        f"awk -v top={q(keep_out)} 'index($2, top) == 1 {{print $2}}' /proc/self/mounts | sort -r "
        '| while read -r at; do umount -l "$at" || true; done'
    )
    lines.append("mount --make-rshared /")
    for path in PRIVATE:
        lines.append(f"mount --bind {q(str(node.home / path.strip('/').replace('/', '-')))} {path}")
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {path}" for path in VOLATILE]
    lines += ["touch /run/containerd/here", f"exec {q(str(tools.binary('pause')))}"]
    return "\n".join(lines) + "\n"


def init_pid(node: NodeSpec) -> int:
    """The host's number of the node's first process; raises Missing when the node is not running."""
    record = processes.recorded().get(component(node, "init"))
    pid = processes.child_of(record.pid) if record and processes.alive(record) else 0
    if not pid:
        raise Missing(f"node {node.name} is not running: `make up` starts the cluster")
    return pid


def enter_argv(node: NodeSpec) -> list[str]:
    """The prefix that runs a command inside the node."""
    return ["nsenter", f"--target={init_pid(node)}", "--mount", "--pid", "--uts", "--ipc", "--net"]


def _inside(node: NodeSpec, path: str) -> Path:
    try:
        return Path(f"/proc/{init_pid(node)}/root{path}")
    except Missing:
        return Path("/nonexistent")


def _alive(node: NodeSpec, part: str) -> bool:
    name = component(node, part)
    if not processes.alive(processes.recorded().get(name)):
        raise Missing(
            f"{name} ended at its start; the end of {processes.log_path(name)}:\n{processes.last_words(name)}"
        )
    return True


def ctr(node: NodeSpec, *argv: str, check: bool = True) -> str:
    """Run `ctr` on the node's containerd in the kubelet's namespace."""
    return run(
        [*enter_argv(node), tools.binary("ctr"), "-a", SOCKET, "-n", "k8s.io", *argv], check=check
    ).stdout


def _write_config(node: NodeSpec, pause_image: str) -> None:
    folder = _conf(node)
    (folder / "cni").mkdir(parents=True, exist_ok=True)
    (folder / "cni" / "10-edgeramp.conflist").write_text(network.cni_config(node))
    (folder / "containerd.toml").write_text(containerd_config(node, pause_image))
    (folder / "kubelet.yaml").write_text(kubelet_config(node))
    registry.write_hosts_file(folder / "registry")
    pki.write_kubeconfig(folder / "kubelet.conf", node.name)
    pki.write_kubeconfig(folder / "kube-proxy.conf", "proxy")


def containerd_config(node: NodeSpec, pause_image: str) -> str:
    """The node's containerd.toml (version 3)."""
    return f"""\
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{SOCKET}"
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  max_concurrent_downloads = 4
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{pause_image}"
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = "{_conf(node) / "registry"}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "{_conf(node) / "cni"}"
[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = "runc"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "{tools.binary("runc")}"
  SystemdCgroup = false
"""


def kubelet_config(node: NodeSpec) -> str:
    """The node's KubeletConfiguration."""
    reserved = ", ".join(f'{name}: "{amount}"' for name, amount in node.reserved)
    return f"""\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {{enabled: false}}
  webhook: {{enabled: true}}
  x509: {{clientCAFile: "{pki.path("ca.crt")}"}}
authorization: {{mode: Webhook}}
tlsCertFile: "{pki.path(f"{node.name}.crt")}"
tlsPrivateKeyFile: "{pki.path(f"{node.name}.key")}"
cgroupDriver: cgroupfs
cgroupRoot: /{node.name}
failCgroupV1: false
failSwapOn: false
# Without CAP_SYS_RESOURCE nothing may lower a score.
oomScoreAdj: 0
clusterDNS: [{DNS_IP}]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix://{SOCKET}
resolvConf: ""
serializeImagePulls: false
maxParallelImagePulls: 4
systemReserved: {{{reserved}}}
enforceNodeAllocatable: [pods]
evictionHard: {{memory.available: "100Mi", nodefs.available: "1%", imagefs.available: "1%"}}
imageGCHighThresholdPercent: 100
shutdownGracePeriod: 0s
"""


def stop_parts(grace: float, keep_images: bool) -> None:
    """Stop kubelets and proxies, then the containers and their runtime, then the nodes' first processes."""
    _stop(("kubelet", "kube-proxy"), grace)
    if keep_images:
        for_each(_drop_containers)
    _stop(("containerd",), grace)
    for node in NODES:
        try:
            os.kill(init_pid(node), signal.SIGKILL)  # the kernel ends the whole node with it
        except (Missing, ProcessLookupError):
            continue
    _stop(("init",), grace)


def _stop(parts: tuple[str, ...], grace: float) -> None:
    known = processes.recorded()
    names = [component(node, part) for node in NODES for part in parts]
    processes.stop([known[name] for name in names if name in known], grace)


def _drop_containers(node: NodeSpec) -> None:
    """Remove every container but no image, and note that the image store is fit for the next start."""
    try:
        for _ in range(5):  # containerd's own reaction to the exits races with the removals
            _remove(node, "tasks", "rm", "--force")
            _remove(node, "containers", "rm")
            _remove(node, "sandboxes", "rm", "--force")
            _remove(node, "leases", "rm")
            if not _names(node, "containers") and not _names(node, "sandboxes"):
                _clean_marker(node).touch()
                return
        say(
            f"{node.name}: containers stay in its store, so that its images are pulled anew at the next start"
        )
    except Missing as error:
        say(f"{node.name}: its images are pulled anew at the next start: {error}")


def _names(node: NodeSpec, kind: str) -> list[str]:
    lines = ctr(node, kind, "ls").splitlines()[1:]
    return [line.split()[0] for line in lines if line.strip()]


def _remove(node: NodeSpec, kind: str, *verb: str) -> None:
    names = _names(node, kind)
    if names:
        ctr(node, kind, *verb, *names, check=False)


def _clean_marker(node: NodeSpec) -> Path:
    return node.home / "images-are-clean"


def _prepare_store(node: NodeSpec) -> None:
    """Keep the image store of a cleanly stopped node; drop everything else of an earlier life."""
    clean = _clean_marker(node).exists()
    for entry in node.home.iterdir() if node.home.exists() else ():
        if entry.is_dir() and not (clean and entry.name == "var-lib-containerd"):
            shutil.rmtree(entry)
    _clean_marker(node).unlink(missing_ok=True)


def preload(node: NodeSpec, refs: Iterable[str]) -> list[str]:
    """Pull the images that the node lacks, so that no pod waits for them; returns what was pulled."""
    present = set(ctr(node, "images", "ls", "-q").split())
    lacking = [ref for ref in map(images.by_digest, refs) if ref not in present]
    for ref in lacking:
        ctr(node, "images", "pull", "--hosts-dir", str(_conf(node) / "registry"), ref)
    return lacking


def for_each(action: Callable[[NodeSpec], object]) -> None:
    """Do something on every node at the same time."""
    with ThreadPoolExecutor(len(NODES)) as pool:
        list(pool.map(action, NODES))
