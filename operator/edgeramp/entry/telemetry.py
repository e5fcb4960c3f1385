"""What the operator tells about itself: log lines with key-values, Prometheus metrics, health. No secret is logged."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.core import Metric as PromMetric
from prometheus_client.registry import Collector

from edgeramp import __version__
from edgeramp.decide.rollout.course import Outcome
from edgeramp.values import metrics
from edgeramp.values.metrics import Metric

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which no query here asks for
_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Telemetry:
    """The operator's metrics, in a registry of their own; each is declared in values/metrics.py."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.looks = self._counter(metrics.LOOKS)
        self.errors = self._counter(metrics.ERRORS)
        self.actions = self._counter(metrics.ACTIONS)
        self.events = self._counter(metrics.EVENTS)
        for outcome in get_args(Outcome):  # from 0 on, so that increase() sees the first one
            self.events.labels("Rollout", outcome)
        self.depth = self._gauge(metrics.QUEUE_DEPTH)
        self.leader = self._gauge(metrics.LEADER)
        self._gauge(metrics.BUILD_INFO).labels(__version__).set(1)
        took = metrics.LOOK_SECONDS
        self.seconds = Histogram(took.name, took.help, took.labels, buckets=_BUCKETS, registry=self.registry)
        self.fleet = Fleet()
        self.registry.register(self.fleet)

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.name, metric.help, metric.labels, registry=self.registry)

    def _gauge(self, metric: Metric) -> Gauge:
        return Gauge(metric.name, metric.help, metric.labels, registry=self.registry)


@dataclass(frozen=True)
class _Known:
    """What metrics tell of one object. `weight` from 0 to 1."""

    phase: str
    weight: float | None = None
    since: float | None = None


class Fleet(Collector):
    """The objects as they were last looked at: series come and go with them. Safe to use from several threads."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], _Known] = {}
        self._lock = Lock()

    def saw(self, kind: str, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        """The status that an object has after a look, as written."""
        ramp = status.get("ramp") or {}
        runs = bool(ramp) and ramp.get("abortedAt") is None
        weight = status.get("weight") if ramp else None
        known = _Known(
            phase=str(status.get("phase") or "Unknown"),
            weight=None if weight is None else weight / 100,
            since=ramp.get("startedAt") if runs else None,
        )
        with self._lock:
            self._known[kind, namespace, name] = known

    def gone(self, kind: str, namespace: str, name: str) -> None:
        """The object is not there any more."""
        with self._lock:
            self._known.pop((kind, namespace, name), None)

    def describe(self) -> Iterable[PromMetric]:
        """Names without samples, so that the registry asks nothing when this is registered."""
        return self._families().values()

    def collect(self) -> Iterable[PromMetric]:
        """See Collector."""
        with self._lock:
            known = dict(self._known)
        made = self._families()
        counted = Tally((kind, one.phase) for (kind, _, _), one in known.items())
        for labels, number in sorted(counted.items()):
            made[metrics.OBJECTS].add_metric(labels, number)
        for (kind, *where), one in sorted(known.items()):
            if kind == "EdgeModel":
                made[metrics.MODEL_PHASE].add_metric([*where, one.phase], 1)
            if kind != "Rollout":
                continue
            made[metrics.ROLLOUT_PHASE].add_metric([*where, one.phase], 1)
            if one.weight is not None:
                made[metrics.ROLLOUT_WEIGHT].add_metric(where, one.weight)
            if one.since is not None:
                made[metrics.ROLLOUT_STARTED].add_metric(where, one.since)
        return made.values()

    @staticmethod
    def _families() -> dict[Metric, GaugeMetricFamily]:
        mine = (
            metrics.OBJECTS, metrics.ROLLOUT_PHASE, metrics.ROLLOUT_WEIGHT, metrics.ROLLOUT_STARTED, metrics.MODEL_PHASE,
        )  # fmt: skip
        return {m: GaugeMetricFamily(m.name, m.help, labels=m.labels) for m in mine}


class KeyValues(logging.Formatter):
    """`time level message key=value …`, or the same as one JSON object per line."""

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self._json = as_json

    def format(self, record: logging.LogRecord) -> str:
        moment = (
            time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        )
        parts: dict[str, Any] = {
            "time": moment,
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        parts |= getattr(record, "facts", {})
        if record.exc_info:
            parts["trace"] = self.formatException(record.exc_info)
        if self._json:
            return json.dumps(parts, default=str)
        head = f"{parts.pop('time')} {parts.pop('level')} {parts.pop('message')}"
        return " ".join([head, *(f"{key}={_quoted(value)}" for key, value in parts.items())])


def _quoted(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or set(text) & set(' "=\n') else text


def configure_logging(level: str = "INFO", as_json: bool = False) -> None:
    """All log lines to standard error; libraries only from WARNING on."""
    handler = logging.StreamHandler()
    handler.setFormatter(KeyValues(as_json))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("edgeramp").setLevel(level)


def log(logger: logging.Logger, level: int, message: str, **facts: Any) -> None:
    """One line in the past tense, with its facts as key-values."""
    logger.log(level, message, extra={"facts": facts})


Check = Callable[[], str]
"""What is wrong; empty when nothing is."""


def serve(port: int, telemetry: Telemetry, alive: Check, ready: Check) -> ThreadingHTTPServer:
    """/metrics, /healthz and /readyz on all addresses, from a daemon thread. Port 0 takes a free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name is http.server's
            match self.path:
                case "/metrics":
                    self._answer(200, generate_latest(telemetry.registry), "text/plain; version=0.0.4")
                case "/healthz" | "/readyz":
                    wrong = alive() if self.path == "/healthz" else ready()
                    self._answer(503 if wrong else 200, (wrong or "ok").encode(), "text/plain")
                case _:
                    self._answer(404, b"not found", "text/plain")

        def _answer(self, code: int, body: bytes, content: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", content)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Probes are not worth a line."""

    server = ThreadingHTTPServer(("", port), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, name="http", daemon=True).start()
    return server
