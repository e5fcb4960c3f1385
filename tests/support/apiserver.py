"""A real etcd and kube-apiserver for tests: free loopback ports, a temporary folder, our CRDs and the Gateway API's.

Ready in a few seconds. There is no controller manager: Jobs, Deployments and garbage collection are played by the test.
Usage: `with running() as server: LiveCluster(server.access())`, or the fixture `apiserver` of tests/contract."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from kubernetes import client

REPO = Path(__file__).resolve().parents[2]
TOKEN = "test-admin"
OPERATOR_TOKEN = "test-operator"


class MissingBinary(Exception):
    """etcd or kube-apiserver has not been built; says how to get it."""


def find_binary(name: str) -> Path:
    """The binary from the tool cache of local/, or from $EDGERAMP_TEST_BIN."""
    cache = Path(os.environ.get("EDGERAMP_CACHE") or _cache_home() / "edgeramp")
    folders = [*sorted(cache.glob("tools/*/bin"), key=lambda p: p.stat().st_mtime, reverse=True)]
    if extra := os.environ.get("EDGERAMP_TEST_BIN"):
        folders.insert(0, Path(extra))
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    if found := shutil.which(name):
        return Path(found)
    raise MissingBinary(
        f"{name} was not found; run `make tools`, or name a folder that has it in EDGERAMP_TEST_BIN"
    )


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@dataclass(frozen=True)
class ApiServer:
    """Where the server is and how to be its administrator."""

    url: str
    ca: Path
    folder: Path

    def access(self, token: str = TOKEN) -> client.Configuration:
        """Client configuration; every token of `tokens.csv` works."""
        access = client.Configuration()
        access.host, access.ssl_ca_cert = self.url, str(self.ca)
        access.api_key = {"authorization": token}
        access.api_key_prefix = {"authorization": "Bearer"}
        access.retries = False
        return access

    def kubeconfig(self, token: str = TOKEN) -> Path:
        """A kubeconfig file for subprocesses."""
        target = self.folder / f"kubeconfig-{token}"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "t", "cluster": {"server": self.url, "certificate-authority": str(self.ca)}}
            ],
            "users": [{"name": "t", "user": {"token": token}}],
            "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
            "current-context": "t",
        }
        target.write_text(yaml.safe_dump(content))
        return target

    def install(self, manifests: list[dict[str, Any]]) -> None:
        """Create CRDs and wait until they are served."""
        with httpx.Client(base_url=self.url, verify=_trust(self.ca), headers=_auth(), timeout=30) as http:
            crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            for manifest in manifests:
                answer = http.post(crds, json=manifest)
                if answer.status_code not in (201, 409):
                    raise RuntimeError(f"{manifest['metadata']['name']}: {answer.text}")
            for manifest in manifests:
                _until(
                    lambda name=manifest["metadata"]["name"]: _served(http, f"{crds}/{name}"), 20, "the CRDs"
                )


def _served(http: httpx.Client, url: str) -> bool:
    body = http.get(url).json()
    conditions = {c["type"]: c["status"] for c in body.get("status", {}).get("conditions", [])}
    spec = body.get("spec", {})
    if conditions.get("Established") != "True":
        return False
    version = next(v["name"] for v in spec["versions"] if v["served"])
    return http.get(f"/apis/{spec['group']}/{version}/{spec['names']['plural']}?limit=1").status_code == 200


def _auth() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}


def _trust(ca: Path) -> Any:
    import ssl

    return ssl.create_default_context(cafile=str(ca))


def _until(done: Any, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)


def crd_manifests() -> list[dict[str, Any]]:
    """Our CRDs as generated, and the Gateway API's from the Envoy Gateway chart in the tool cache or module cache."""
    ours = [yaml.safe_load(path.read_text()) for path in sorted((REPO / "crds").glob("*.yaml"))]
    return ours + gateway_crds()


def gateway_crds() -> list[dict[str, Any]]:
    """Gateways and HTTPRoutes; [] where the Envoy Gateway chart has not been fetched."""
    wanted = {"gateways.gateway.networking.k8s.io", "httproutes.gateway.networking.k8s.io"}
    cache = Path(os.environ.get("EDGERAMP_CACHE") or _cache_home() / "edgeramp")
    folders = [
        *cache.glob("tools/envoy-gateway-*/charts"),
        *_module_cache().glob("sigs.k8s.io/gateway-api@*/config/crd"),
    ]
    for folder in folders:
        files = [p for p in folder.rglob("*.yaml") if "experimental" not in p.parts and "gateway" in str(p)]
        found = {
            doc["metadata"]["name"]: doc
            for file in files
            if "CustomResourceDefinition" in (text := file.read_text()) and "{{" not in text
            for doc in yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            if doc and doc["metadata"]["name"] in wanted
        }
        if found.keys() == wanted:
            return list(found.values())
    return []


def _module_cache() -> Path:
    return Path(
        os.environ.get("GOMODCACHE") or Path(os.environ.get("GOPATH") or Path.home() / "go") / "pkg" / "mod"
    )


def grant(server: ApiServer, rendered_chart: Path) -> None:
    """Give the chart's own rights to its service account; `OPERATOR_TOKEN` acts as it."""
    documents = [d for d in yaml.safe_load_all(rendered_chart.read_text()) if d]
    with httpx.Client(base_url=server.url, verify=_trust(server.ca), headers=_auth(), timeout=30) as http:
        for document in documents:
            if document["apiVersion"] == "rbac.authorization.k8s.io/v1":
                namespace = document["metadata"].get("namespace")
                where = f"namespaces/{namespace}/" if namespace else ""
                url = f"/apis/{document['apiVersion']}/{where}{document['kind'].lower()}s"
                answer = http.post(url, json=document)
                if answer.status_code not in (201, 409):
                    raise RuntimeError(f"{document['kind']}: {answer.text}")


@contextmanager
def running(crds: list[dict[str, Any]] | None = None) -> Iterator[ApiServer]:
    """A server that is ready and has the CRDs; ended when the block is left. Raises MissingBinary."""
    etcd, apiserver = find_binary("etcd"), find_binary("kube-apiserver")
    folder = Path(tempfile.mkdtemp(prefix="edgeramp-apiserver-"))
    processes: list[subprocess.Popen[bytes]] = []
    try:
        etcd_port, peer_port, api_port = _free_ports(3)
        processes.append(_start(folder, "etcd", _etcd_arguments(etcd, folder, etcd_port, peer_port)))
        server = ApiServer(f"https://127.0.0.1:{api_port}", _certificates(folder), folder)
        processes.append(
            _start(folder, "kube-apiserver", _api_arguments(apiserver, folder, etcd_port, api_port))
        )
        _wait_ready(server, processes)
        server.install(crd_manifests() if crds is None else crds)
        yield server
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [int(s.getsockname()[1]) for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _start(folder: Path, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_parent
        )


def _die_with_parent() -> None:
    """Linux: a test run that is killed leaves no server behind (prctl PR_SET_PDEATHSIG, SIGKILL)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, 9)


def _etcd_arguments(binary: Path, folder: Path, port: int, peer: int) -> list[str]:
    here, there = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    return [
        str(binary), f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync", f"--listen-client-urls={here}",
        f"--advertise-client-urls={here}", f"--listen-peer-urls={there}", f"--initial-advertise-peer-urls={there}",
        f"--initial-cluster=default={there}", "--logger=zap", "--log-level=warn",
    ]  # fmt: skip


def _api_arguments(binary: Path, folder: Path, etcd_port: int, port: int) -> list[str]:
    (folder / "tokens.csv").write_text(
        f'{TOKEN},admin,1,"system:masters"\ntest-nobody,nobody,2\n'
        "test-operator,system:serviceaccount:edgeramp-system:edgeramp,3\n"
    )
    return [
        str(binary), f"--etcd-servers=http://127.0.0.1:{etcd_port}", "--bind-address=127.0.0.1",
        f"--secure-port={port}", f"--tls-cert-file={folder / 'server.crt'}",
        f"--tls-private-key-file={folder / 'server.key'}", f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC", "--service-cluster-ip-range=10.255.0.0/24", "--anonymous-auth=false",
        "--service-account-issuer=https://edgeramp.test", f"--service-account-key-file={folder / 'sa.key'}",
        f"--service-account-signing-key-file={folder / 'sa.key'}", f"--cert-dir={folder}", "--profiling=false",
        "--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none",
        "--enable-priority-and-fairness=false", "--v=0",
    ]  # fmt: skip


def _wait_ready(server: ApiServer, processes: list[subprocess.Popen[bytes]]) -> None:
    def ready() -> bool:
        for process in processes:
            if process.poll() is not None:
                logs = "\n".join(p.read_text()[-1500:] for p in server.folder.glob("*.log"))
                raise RuntimeError(f"a server process ended with {process.returncode}:\n{logs}")
        try:
            return http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    with httpx.Client(base_url=server.url, verify=_trust(server.ca), headers=_auth(), timeout=5) as http:
        _until(ready, 60, "kube-apiserver")


def _certificates(folder: Path) -> Path:
    """A key for service accounts, and a serving certificate that is its own authority."""
    sa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "sa.key").write_bytes(_pem(sa))
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edgeramp-test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.key").write_bytes(_pem(key))
    (folder / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return folder / "server.crt"


def _pem(key: Any) -> bytes:
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
