"""Who else lives in a cluster, played for a real API server without kubelets and controllers: Jobs that end as a bench
says, Deployments whose pods become ready, a gateway that splits traffic, servers with our metrics, an artifact store.

Everything listens on loopback addresses (127.77.x.y), where the operator reads it as it would in a cluster."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import TypeAdapter
from tests.support.apiserver import REPO, ApiServer, grant

from edgeramp.effects.admission import CERTIFICATE_TYPE, TITLE
from edgeramp.effects.kinds import CONFIGMAP, DEPLOYMENT, HTTPROUTE, JOB, POD, Ref, ref
from edgeramp.effects.live import LiveCluster
from edgeramp.report import PackageSpec, PackageSummary, signature
from edgeramp.report.spec import JobSpec
from edgeramp.values.errors import ClusterError
from edgeramp.values.names import LABEL_ROLLOUT
from edgeramp.values.quantities import timestamp
from edgeramp_serving.metrics import Metrics

Json = dict[str, Any]
_SPECS: TypeAdapter[JobSpec] = TypeAdapter(JobSpec)


def serve(address: str, port: int, pages: Callable[[str], tuple[int, bytes, str]]) -> ThreadingHTTPServer:
    """An HTTP server in a thread; `pages` gives status, body and content type of a path."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body, content = pages(self.path)
            self.send_response(status)
            self.send_header("Content-Type", content)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer((address, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def set_status(cluster: LiveCluster, where: Ref, status: Json) -> None:
    """As a kubelet or controller does it. Status updates of built-in kinds take metadata along, so it is sent whole."""
    fresh = cluster.get(where)
    if fresh is not None:
        body = {**fresh, "status": status}
        cluster._call("update", "PUT", where.of, where.namespace, where.name, body=body, subresource="status")


def furnish(server: ApiServer, cluster: LiveCluster) -> None:
    """What every town has: namespaces, the chart's rights for the operator, one node and one Gateway."""
    for namespace in ("edgeramp-system", "envoy-gateway-system"):
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    grant(server, REPO / "tests" / "golden" / "chart" / "default.yaml")
    node = {"name": "box-1", "labels": {"example.com/class": "box", "kubernetes.io/hostname": "box-1"}}
    cluster.create({"apiVersion": "v1", "kind": "Node", "metadata": node})
    ready = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "allocatable": {"cpu": "4", "memory": "8Gi"},
    }
    set_status(cluster, Ref("v1", "Node", "", "box-1"), ready)
    cluster.patch(Ref("v1", "Node", "", "box-1"), {"spec": {"taints": None}})
    gateway = {"gatewayClassName": "eg", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}
    cluster.create({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
                    "metadata": {"name": "edge", "namespace": "default"}, "spec": gateway})  # fmt: skip


class Store:
    """A registry that knows manifests, blobs and fallback tags; `package` puts a signed artifact into it."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        self.private_key = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        self.public_key = signature.public_key(self.private_key).decode()
        self.content: dict[str, bytes] = {}
        self.away = False
        self._server = serve("127.0.0.1", 0, self._page)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _page(self, path: str) -> tuple[int, bytes, str]:
        if self.away:
            return 503, b"", "text/plain"
        found = self.content.get(path.rpartition("/")[2])
        return (200, found, "application/json") if found is not None else (404, b"{}", "application/json")

    def put(self, body: bytes | Json, tag: str = "") -> str:
        """Store something under its digest, and a tag; returns the digest."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.content[digest] = data
        if tag:
            self.content[tag] = data
        return digest

    def package(
        self, name: str, certified: bool = True, repository: str = "default/digits", **said: Any
    ) -> PackageSummary:
        """An artifact whose file says its name, with certificate, which says `said` too."""
        blob = self.put(name.encode())
        manifest = self.put({"schemaVersion": 2, "layers": [
            {"digest": blob, "size": len(name), "annotations": {TITLE: "model.onnx"}}
        ]})  # fmt: skip
        about = {"certified": certified, "model": "digits", "target": "vnni", "isa": ["AVX512VNNI"], **said}
        envelope = self.put(signature.sign({"model.onnx": blob}, manifest, about, self.private_key))
        certificate = self.put({"schemaVersion": 2, "layers": [{"digest": envelope, "size": 1}]})
        listed = [{"digest": certificate, "size": 1, "artifactType": CERTIFICATE_TYPE}]
        self.put({"schemaVersion": 2, "manifests": listed}, tag=manifest.replace(":", "-", 1))
        return PackageSummary(
            artifact=manifest,
            certificate=certificate,
            reference=f"oci://{self.host}/{repository}@{manifest}",
            key_id=signature.key_id(self.public_key.encode()),
            size_bytes=len(name),
        )


@dataclass
class Server:
    """A pod of a server: its metrics, and how it treats requests."""

    address: str
    metrics: Metrics
    errors: float
    latency: float
    http: ThreadingHTTPServer
    up: bool = True


@dataclass
class Counters:
    """What the proxy counted for one backend place."""

    completed: int = 0
    bad: int = 0


@dataclass
class Players:
    """All the others. `endings` says how a Job ends; `behaviour` maps an artifact reference to (error share, seconds);
    `rate` is requests per second through the gateway."""

    cluster: LiveCluster
    endings: Callable[[JobSpec], Any]
    behaviour: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    rate: float = 50.0
    servers: dict[str, Server] = field(default_factory=dict)
    counters: dict[str, Counters] = field(default_factory=dict)
    first_bad: dict[str, float] = field(default_factory=dict)
    weights: list[tuple[float, str, tuple[tuple[str, int], ...]]] = field(default_factory=list)
    gateway_namespace: str = "envoy-gateway-system"
    _numbers: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _random: random.Random = field(default_factory=lambda: random.Random(7))

    @contextlib.contextmanager
    def playing(self) -> Iterator[Players]:
        """Three threads: Jobs and Deployments, traffic, and the proxy's statistics."""
        proxy = serve("127.77.255.1", 19001, lambda _: (200, self._stats().encode(), "text/plain"))
        self._make_proxy_pod()
        threads = [threading.Thread(target=self._repeat, args=(f, s), daemon=True)
                   for f, s in ((self._controllers, 0.05), (self._traffic, 0.02))]  # fmt: skip
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(5)
            for http in [proxy, *(s.http for s in self.servers.values())]:
                http.shutdown()
                http.server_close()

    def _repeat(self, play: Callable[[], None], seconds: float) -> None:
        while not self._stop.wait(seconds):
            with contextlib.suppress(ClusterError):
                play()

    # Jobs and Deployments

    def _controllers(self) -> None:
        for job in self.cluster.list(JOB):
            if not (job.get("status") or {}).get("completionTime"):
                self._finish(job)
        deployments = self.cluster.list(DEPLOYMENT)
        wanted: dict[str, Json] = {}
        for deployment in deployments:
            for number in range(int(deployment["spec"].get("replicas", 1))):
                wanted[f"{deployment['metadata']['name']}-{number}"] = deployment
        for name, deployment in wanted.items():
            if name not in self.servers:
                self._start_server(name, deployment)
        for name in [n for n in self.servers if n not in wanted]:
            self._stop_server(name)

    def _finish(self, job: Json) -> None:
        """The pod ends with a summary, then the Job says so."""
        where = ref(job)
        config = self.cluster.get(Ref(*CONFIGMAP, where.namespace, where.name))
        assert config is not None
        summary = self.endings(_SPECS.validate_json(config["data"]["spec.json"]))
        now = timestamp(time.time())
        ended = {
            "exitCode": 0,
            "reason": "Completed",
            "message": summary.to_json(),
            "startedAt": now,
            "finishedAt": now,
        }
        self._pod(job, f"{where.name}-pod", "127.77.254.1", {
            "phase": "Succeeded",
            "containerStatuses": [_container("worker", {"terminated": ended}, ready=False)],
        })  # fmt: skip
        conditions = [{"type": kind, "status": "True", "lastProbeTime": now, "lastTransitionTime": now}
                      for kind in ("SuccessCriteriaMet", "Complete")]  # fmt: skip
        status = {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions,
                  "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}  # fmt: skip
        set_status(self.cluster, where, status)

    def _pod(self, owner: Json, name: str, address: str, status: Json) -> None:
        template = owner["spec"]["template"]
        where = Ref(*POD, owner["metadata"]["namespace"], name)
        spec = {
            "nodeName": "box-1",
            "containers": [{"name": c["name"], "image": c["image"]} for c in template["spec"]["containers"]],
        }
        owners = [{"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
                   "uid": owner["metadata"]["uid"], "controller": True}]  # fmt: skip
        meta = {"name": name, "namespace": where.namespace, "ownerReferences": owners, **template["metadata"]}
        self.cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
        set_status(self.cluster, where, {"podIP": address, "podIPs": [{"ip": address}], **status})

    def _start_server(self, name: str, deployment: Json) -> None:
        self._numbers += 1
        address = f"127.77.0.{self._numbers}"
        artifact = deployment["metadata"]["annotations"]["edgeramp.dev/artifact"]
        metrics = Metrics(artifact.rpartition("@")[2], "onnxruntime", "int8")
        errors, latency = self.behaviour.get(artifact, (0.0, 0.01))
        http = serve(address, 8080, lambda path: _server_page(metrics, path))
        self.servers[name] = Server(address, metrics, errors, latency, http)
        now = timestamp(time.time())
        ready = [{"type": "Ready", "status": "True", "lastTransitionTime": now}]
        running = _container("server", {"running": {"startedAt": now}}, ready=True)
        status = {"phase": "Running", "startTime": now, "conditions": ready, "containerStatuses": [running]}
        self._pod(deployment, name, address, status)

    def crash(self, name: str) -> None:
        """The server's process dies: requests are refused and its pod is not ready."""
        server = self.servers[name]
        server.up = False
        server.http.shutdown()
        server.http.server_close()
        pod = next(p for p in self.cluster.list(POD) if p["metadata"]["name"] == name)
        status = pod["status"] | {"conditions": [{"type": "Ready", "status": "False"}]}
        status["containerStatuses"] = [
            _container("server", {"waiting": {"reason": "CrashLoopBackOff"}}, False, 1)
        ]
        set_status(self.cluster, ref(pod), status)

    def _stop_server(self, name: str) -> None:
        server = self.servers.pop(name)
        server.http.shutdown()
        server.http.server_close()
        for pod in self.cluster.list(POD, None, {LABEL_ROLLOUT: None}):
            if pod["metadata"]["name"] == name:
                options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
                where = pod["metadata"]["namespace"]
                self.cluster._call("delete", "DELETE", POD, where, name, body=options)

    # The gateway

    def _make_proxy_pod(self) -> None:
        labels = {
            "gateway.envoyproxy.io/owning-gateway-name": "edge",
            "gateway.envoyproxy.io/owning-gateway-namespace": "default",
        }
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {
            "name": "proxy", "namespace": self.gateway_namespace, "uid": "00000000-0000-4000-8000-000000000001"},
            "spec": {"template": {"metadata": {"labels": labels}, "spec": {
                "containers": [{"name": "envoy", "image": "envoy:1"}]}}}}  # fmt: skip
        now = timestamp(time.time())
        ready = [{"type": "Ready", "status": "True", "lastTransitionTime": now}]
        status = {"phase": "Running", "conditions": ready,
                  "containerStatuses": [_container("envoy", {"running": {"startedAt": now}}, True)]}  # fmt: skip
        self._pod(owner, "proxy-1", "127.77.255.1", status)

    def _traffic(self) -> None:
        """A fiftieth of a second's requests, each to a backend by weight, as the route has it now."""
        for route in self.cluster.list(HTTPROUTE):
            refs = route["spec"]["rules"][0]["backendRefs"]
            split = tuple((r["name"], int(r.get("weight", 1))) for r in refs)
            name = f"{route['metadata']['namespace']}/{route['metadata']['name']}"
            if not self.weights or self.weights[-1][1:] != (name, split):
                self.weights.append((time.time(), name, split))
            for _ in range(max(1, round(self.rate * 0.02))):
                place = self._random.choices(range(len(refs)), [w for _, w in split])[0]
                self._request(f"httproute/{name}/rule/0/backend/{place}", split[place][0])

    def _request(self, cluster: str, service: str) -> None:
        pods = [server for name, server in self.servers.items() if name.startswith(f"{service}-")]
        counters = self.counters.setdefault(cluster, Counters())
        counters.completed += 1
        server = pods[0] if pods else None
        bad = server is None or not server.up or self._random.random() < server.errors
        if bad:
            counters.bad += 1
            self.first_bad.setdefault(service, time.time())
        if server is not None and server.up:
            seconds = server.latency * self._random.uniform(0.8, 1.2)
            server.metrics.request(500 if bad else 200, seconds, "live")
            server.metrics.execution(not bad)

    def _stats(self) -> str:
        lines = [
            "# TYPE envoy_cluster_upstream_rq_completed counter",
            "# TYPE envoy_cluster_upstream_rq_xx counter",
        ]
        for cluster, counted in list(self.counters.items()):
            name = f'envoy_cluster_name="{cluster}"'
            lines += [f"envoy_cluster_upstream_rq_completed{{{name}}} {counted.completed}",
                      f'envoy_cluster_upstream_rq_xx{{envoy_response_code_class="5",{name}}} {counted.bad}']  # fmt: skip
        return "\n".join(lines) + "\n"


def packaging(store: Store, bench: Callable[[JobSpec, int, str], Any]) -> Callable[[JobSpec], Any]:
    """Jobs end as the bench says, but packages are really put into the store."""

    def ending(spec: JobSpec) -> Any:
        if isinstance(spec, PackageSpec):
            certified = bool(spec.certificate.get("certified"))
            return store.package(f"{spec.runner.id} {spec.version}", certified, spec.store.repository)
        return bench(spec, 1, "box-1")[1]

    return ending


def _server_page(metrics: Metrics, path: str) -> tuple[int, bytes, str]:
    if path == "/edgeramp/history":
        return 200, json.dumps(metrics.history.report()).encode(), "application/json"
    return 200, metrics.render().encode(), "text/plain"


def _container(name: str, state: Json, ready: bool, restarts: int = 0) -> Json:
    return {
        "name": name,
        "image": "x",
        "imageID": "x",
        "ready": ready,
        "restartCount": restarts,
        "state": state,
    }
