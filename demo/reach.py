"""An address for a pod's port as seen from here: its own where the host has a route, else a port-forward."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable
from typing import IO

from demo import paths
from demo.kube import Kube
from demo.until import until

STORE_PODS = "app.kubernetes.io/component=store"
GATEWAY_PODS = "gateway.envoyproxy.io/owning-gateway-name={name},gateway.envoyproxy.io/owning-gateway-namespace={namespace}"
LISTENER_PORT, STATS_PORT, STORE_PORT = (
    10080,
    19001,
    5000,
)  # Envoy Gateway adds 10000 to listener ports below 1024


class Reach:
    """Finds and remembers addresses; `close` ends the port-forwards that it started."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._forwards: list[subprocess.Popen[str]] = []
        self._known: dict[tuple[str, int], str] = {}

    def store(self) -> str:
        return self._one(paths.OPERATOR_NAMESPACE, STORE_PODS, STORE_PORT, "the store")

    def gateway(self) -> str:
        return self._one(paths.GATEWAY_NAMESPACE, _gateway_pods(), LISTENER_PORT, "the gateway's proxy")

    def gateway_stats(self) -> str:
        return self._one(paths.GATEWAY_NAMESPACE, _gateway_pods(), STATS_PORT, "the gateway's counters")

    def close(self) -> None:
        for process in self._forwards:
            process.terminate()
            process.wait()
        self._forwards.clear()

    def _one(self, namespace: str, labels: str, port: int, what: str) -> str:
        pods = until(f"{what} to be ready", lambda: self._kube.ready_pods(namespace, labels) or None, 120)
        name, ip = pods[0]
        if (name, port) not in self._known:
            direct = f"{ip}:{port}"
            self._known[name, port] = direct if answers(ip, port) else self._forward(namespace, name, port)
        return self._known[name, port]

    def _forward(self, namespace: str, pod: str, port: int) -> str:
        argv = [*paths.kubectl(), "port-forward", "-n", namespace, f"pod/{pod}", f":{port}"]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=paths.environment())
        self._forwards.append(process)
        assert process.stdout
        return f"127.0.0.1:{_announced(process.stdout)}"


def answers(host: str, port: int, timeout: float = 2.0) -> bool:
    """Whether a TCP connection can be made."""
    try:
        with socket.create_connection((host, port), timeout):
            return True
    except OSError:
        return False


def _announced(lines: IO[str]) -> int:
    """The local port that kubectl says it forwards."""
    read: Callable[[], str] = lines.readline
    for line in iter(read, ""):
        if found := re.search(r"127\.0\.0\.1:(\d+)", line):
            return int(found.group(1))
    raise ConnectionError("kubectl port-forward ended without forwarding anything")


def _gateway_pods() -> str:
    return GATEWAY_PODS.format(name="edge", namespace=paths.NAMESPACE)
