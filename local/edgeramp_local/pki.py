"""Keys and certificates of one cluster, made by openssl for the life of that cluster only."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .config import API_SERVER, HOST_IP, KUBERNETES_IP, NODES, kubeconfig, state_dir
from .shell import run, write_atomic

_CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
_SERVICE_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)


@dataclass(frozen=True)
class Identity:
    """A certificate: file name, subject, and the names it is valid for."""

    name: str
    subject: str
    names: tuple[str, ...] = ()


def identities() -> tuple[Identity, ...]:
    """Every certificate of the cluster; the subjects are those that Kubernetes' built-in RBAC knows."""
    nodes = (
        Identity(
            node.name, f"/O=system:nodes/CN=system:node:{node.name}", (f"DNS:{node.name}", f"IP:{node.ip}")
        )
        for node in NODES
    )
    server = tuple(f"DNS:{name}" for name in _SERVICE_NAMES)
    return (
        Identity("apiserver", "/CN=kube-apiserver", (*server, f"IP:{HOST_IP}", f"IP:{KUBERNETES_IP}")),
        Identity("admin", "/O=system:masters/CN=admin"),
        Identity("controller-manager", "/CN=system:kube-controller-manager"),
        Identity("scheduler", "/CN=system:kube-scheduler"),
        Identity("proxy", "/CN=system:kube-proxy"),
        *nodes,
    )


def folder() -> Path:
    return state_dir() / "pki"


def path(name: str) -> Path:
    """A file of the PKI, for example `ca.crt`."""
    return folder() / name


def create() -> None:
    """Make the authority, all certificates and the service account key, in parallel."""
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    run(
        [
            "openssl",
            "req",
            "-x509",
            *_CURVE,
            "-keyout",
            path("ca.key"),
            "-out",
            path("ca.crt"),
            "-subj",
            "/CN=edgeramp-local",
            "-days",
            "3650",
        ]
    )
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(_issue, identities()))
    run(["openssl", "genrsa", "-out", path("sa.key"), "2048"])
    run(["openssl", "rsa", "-in", path("sa.key"), "-pubout", "-out", path("sa.pub")])
    write_kubeconfig(kubeconfig(), "admin")


def _issue(identity: Identity) -> None:
    key, request = path(f"{identity.name}.key"), path(f"{identity.name}.csr")
    run(["openssl", "req", *_CURVE, "-keyout", key, "-out", request, "-subj", identity.subject])
    extensions = "extendedKeyUsage=serverAuth,clientAuth\n"
    if identity.names:
        extensions += f"subjectAltName={','.join(identity.names)}\n"
    extfile = path(f"{identity.name}.ext")
    extfile.write_text(extensions)
    serial = str(1 + [other.name for other in identities()].index(identity.name))
    run(
        [
            "openssl",
            "x509",
            "-req",
            "-in",
            request,
            "-CA",
            path("ca.crt"),
            "-CAkey",
            path("ca.key"),
            "-set_serial",
            serial,
            "-days",
            "3650",
            "-out",
            path(f"{identity.name}.crt"),
            "-extfile",
            extfile,
        ]
    )


def write_kubeconfig(target: Path, identity: str) -> None:
    """A self-contained kubeconfig that acts as `identity`."""

    def data(name: str) -> str:
        return base64.b64encode(path(name).read_bytes()).decode()

    write_atomic(
        target,
        f"""\
apiVersion: v1
kind: Config
clusters:
- name: edgeramp
  cluster: {{server: "{API_SERVER}", certificate-authority-data: {data("ca.crt")}}}
users:
- name: {identity}
  user: {{client-certificate-data: {data(f"{identity}.crt")}, client-key-data: {data(f"{identity}.key")}}}
contexts:
- name: edgeramp
  context: {{cluster: edgeramp, user: {identity}}}
current-context: edgeramp
""",
        mode=0o600,
    )
