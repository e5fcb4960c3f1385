"""What the operator tells about itself: log lines with key-values, Prometheus metrics, health. No secret is logged."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Telemetry:
    """The operator's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.looks = Counter(
            "edgeramp_reconcile_total",
            "Looks at an object, by what came of it.",
            ["kind", "result"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "edgeramp_reconcile_duration_seconds", "Time of a look, by part.", ["kind", "part"],
            buckets=_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.errors = Counter(
            "edgeramp_errors_total", "Looks that failed, by error.", ["kind", "error"], registry=self.registry
        )
        self.actions = Counter(
            "edgeramp_actions_total", "Actions carried out.", ["kind", "action"], registry=self.registry
        )
        self.depth = Gauge(
            "edgeramp_queue_depth", "Objects waiting for a look or under one.", registry=self.registry
        )
        self.leader = Gauge(
            "edgeramp_leader", "1 while this process holds the Lease.", registry=self.registry
        )


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
