"""etcd, the API server, the controller manager and the scheduler, as plain processes on the host."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from . import pki, processes, tools
from .config import API_SERVER, ETCD_CLIENT, ETCD_PEER, HOST_IP, POD_CIDR, SERVICE_CIDR, kubeconfig, state_dir
from .shell import Missing, run, wait_for

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def start_api() -> None:
    """Start etcd and the API server and wait until it is ready."""
    processes.start(
        "etcd",
        [
            tools.binary("etcd"),
            f"--data-dir={state_dir() / 'etcd'}",
            f"--listen-client-urls={ETCD_CLIENT}",
            f"--advertise-client-urls={ETCD_CLIENT}",
            f"--listen-peer-urls={ETCD_PEER}",
            f"--initial-advertise-peer-urls={ETCD_PEER}",
            f"--initial-cluster=default={ETCD_PEER}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ],
    )
    processes.start("kube-apiserver", [tools.binary("kube-apiserver"), *api_server_flags()])
    wait_for("the API server", lambda: _up("kube-apiserver", "etcd") and healthy("/readyz"), timeout=60)


def api_server_flags() -> list[str]:
    """The API server's command line."""
    flags = {
        "etcd-servers": ETCD_CLIENT,
        "bind-address": HOST_IP,
        "advertise-address": HOST_IP,
        "secure-port": "6443",
        "client-ca-file": pki.path("ca.crt"),
        "tls-cert-file": pki.path("apiserver.crt"),
        "tls-private-key-file": pki.path("apiserver.key"),
        "service-account-key-file": pki.path("sa.pub"),
        "service-account-signing-key-file": pki.path("sa.key"),
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-cluster-ip-range": SERVICE_CIDR,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        # Webhooks are reached at pod addresses, so that the host needs no kube-proxy.
        "enable-aggregator-routing": "true",
        "kubelet-client-certificate": pki.path("admin.crt"),
        "kubelet-client-key": pki.path("admin.key"),
        "kubelet-certificate-authority": pki.path("ca.crt"),
        "kubelet-preferred-address-types": "InternalIP",  # node names resolve nowhere
        "allow-privileged": "true",
        "profiling": "false",
    }
    return [f"--{name}={value}" for name, value in flags.items()]


def start_controllers() -> None:
    """Start the controller manager and the scheduler."""
    folder = state_dir() / "conf"
    for name in ("controller-manager", "scheduler"):
        pki.write_kubeconfig(folder / f"{name}.conf", name)
    processes.start(
        "kube-controller-manager",
        [
            tools.binary("kube-controller-manager"),
            f"--kubeconfig={folder / 'controller-manager.conf'}",
            f"--cluster-cidr={POD_CIDR}",
            "--allocate-node-cidrs=false",
            "--leader-elect=false",
            f"--bind-address={HOST_IP}",
            f"--service-account-private-key-file={pki.path('sa.key')}",
            f"--root-ca-file={pki.path('ca.crt')}",
            "--use-service-account-credentials=true",
            f"--cluster-signing-cert-file={pki.path('ca.crt')}",
            f"--cluster-signing-key-file={pki.path('ca.key')}",
        ],
    )
    processes.start(
        "kube-scheduler",
        [
            tools.binary("kube-scheduler"),
            f"--kubeconfig={folder / 'scheduler.conf'}",
            "--leader-elect=false",
            f"--bind-address={HOST_IP}",
        ],
    )


def _up(*names: str) -> bool:
    """True while the named components run; raises Missing with the end of the log of one that ended."""
    known = processes.recorded()
    for name in names:
        if not processes.alive(known.get(name)):
            raise Missing(
                f"{name} ended at its start; the end of {processes.log_path(name)}:\n"
                f"{processes.last_words(name)}"
            )
    return True


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pki.path("ca.crt")))
    context.load_cert_chain(pki.path("admin.crt"), pki.path("admin.key"))
    return context


def get(path: str, timeout: float = 5.0) -> Any:
    """GET an API path as administrator: the decoded JSON, or the text where it is none; raises OSError."""
    body = _get_direct(path, timeout) if pki.path("ca.crt").exists() else _get_by_kubectl(path)
    try:
        return json.loads(body)
    except json.JSONDecodeError:
        return body


def _get_by_kubectl(path: str) -> str:
    """For a cluster whose keys are not ours: kind."""
    try:
        return kubectl("get", "--raw", path)
    except Missing as error:
        raise OSError(str(error)) from error


def _get_direct(path: str, timeout: float) -> str:
    secure = urllib.request.HTTPSHandler(context=_context())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), secure)
    with opener.open(API_SERVER + path, timeout=timeout) as response:
        return str(response.read().decode())


def healthy(path: str = "/readyz") -> bool:
    """Whether the API server answers `path` well."""
    try:
        return get(path, timeout=2.0) is not None
    except (OSError, urllib.error.URLError, ssl.SSLError):
        return False


def ready_nodes() -> set[str]:
    """The names of the nodes that are Ready; empty while the API server does not answer."""
    try:
        items = get("/api/v1/nodes")["items"]
    except OSError:
        return set()
    return {item["metadata"]["name"] for item in items if condition(item, "Ready")}


def condition(item: dict[str, Any], kind: str) -> bool:
    """Whether an object's status condition of this type is True."""
    conditions = item.get("status", {}).get("conditions", [])
    return any(entry["type"] == kind and entry["status"] == "True" for entry in conditions)


def kubectl(*argv: str | Path, stdin: str | None = None, check: bool = True) -> str:
    """Run the built kubectl on the cluster; its output."""
    return run(
        [tools.binary("kubectl"), f"--kubeconfig={kubeconfig()}", *argv], stdin=stdin, check=check
    ).stdout
