"""The middleware around a small ASGI application."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from edgeramp_serving.metrics import Metrics
from edgeramp_serving.middleware import Gate, Middleware

INFER = "/v2/models/m/infer"


class Harness:
    """An application that answers `status`, or raises; and a way to send it requests."""

    def __init__(self, **how: Any) -> None:
        self.status: int | None = 200
        self.metrics, self.gate = Metrics(f"sha256:{'a' * 64}", "openvino", "f32"), Gate()
        self._app = Middleware(self._answer, self.metrics, self.gate, **how)
        self.breaks_off = False

    async def _answer(self, _scope: Any, _receive: Any, send: Any) -> None:
        if self.status is None:
            raise RuntimeError("boom")
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        if self.breaks_off:
            raise RuntimeError("boom within a stream")
        await send({"type": "http.response.body", "body": b"inner"})

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, dict[bytes, bytes], bytes]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        raw = [(k.encode(), v.encode()) for k, v in (headers or {}).items()]
        asyncio.run(self._app({"type": "http", "path": path, "headers": raw}, receive, send))
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]

    def count(self, outcome: str, live: str = "true") -> int:
        prefix = f'edgeramp_requests_total{{outcome="{outcome}",live="{live}"}} '
        return next(
            int(line.removeprefix(prefix))
            for line in self.metrics.render().splitlines()
            if line.startswith(prefix)
        )


@pytest.fixture
def server() -> Harness:
    return Harness()


@pytest.mark.parametrize(("status", "outcome"), [(200, "ok"), (400, "client_error"), (500, "server_error")])
def test_inference_requests_are_counted_by_outcome(server: Harness, status: int, outcome: str) -> None:
    server.status = status
    assert server.get(INFER)[0] == status
    assert server.count(outcome) == 1


def test_an_exception_that_escapes_is_a_server_error(server: Harness) -> None:
    server.status = None
    with pytest.raises(RuntimeError):
        server.get(INFER)
    assert server.count("server_error") == 1


@pytest.mark.parametrize(
    "headers", [{"x-edgeramp-mirror": "1"}, {"host": "m.example-shadow"}, {"host": "m-shadow:80"}]
)
def test_mirrored_copies_are_told_by_header_or_shadow_host(server: Harness, headers: dict[str, str]) -> None:
    server.get(INFER, headers)
    assert (server.count("ok", "false"), server.count("ok")) == (1, 0)


@pytest.mark.parametrize(("track", "series"), [
    ("candidate-by-header", 'live="true",routed="header"'), ("candidate", 'live="true"'), ("stable", 'live="true"'),
])  # fmt: skip
def test_requests_chosen_by_header_are_told_by_the_track_of_their_rule(
    server: Harness, track: str, series: str
) -> None:
    server.get(INFER, {"x-edgeramp-track": track})
    assert f'edgeramp_requests_total{{outcome="ok",{series}}} 1' in server.metrics.render()
    server.get(INFER, {"x-edgeramp-track": track, "host": "m.example-shadow"})
    assert server.count("ok", "false") == 1


def test_health_and_metadata_are_not_counted(server: Harness) -> None:
    for path in ("/v2/health/ready", "/v2/models/m", "/metrics", "/edgeramp/history"):
        assert server.get(path)[0] == 200
    assert server.count("ok") == 0


def test_metrics_and_history_are_answered_here(server: Harness) -> None:
    _, headers, body = server.get("/metrics")
    assert headers[b"content-type"].startswith(b"text/plain")
    assert body.startswith(b"# TYPE edgeramp_requests_total counter")
    assert json.loads(server.get("/edgeramp/history")[2])["interval"] == 5


def test_a_draining_server_is_not_ready_but_answers_and_closes(server: Harness) -> None:
    server.gate.draining = True
    assert server.get("/v2/health/ready")[0] == 503
    status, headers, body = server.get(INFER)
    assert (status, body) == (200, b"inner")
    assert headers[b"connection"] == b"close"


def test_the_model_cannot_be_unloaded_over_http(server: Harness) -> None:
    assert server.get("/v2/repository/models/m/unload")[0] == 404


def counts(server: Harness) -> set[str]:
    lines = server.metrics.render().splitlines()
    return {line for line in lines if "_total{" in line and not line.endswith(" 0")}


def test_a_server_names_the_paths_that_run_its_model_and_each_answer_is_an_execution() -> None:
    server = Harness(counted=("/completions",), executes=True)
    server.get("/v1/completions")
    server.get("/v1/models")
    server.status = 400
    server.get("/v1/completions")
    assert counts(server) == {
        'edgeramp_requests_total{outcome="ok",live="true"} 1',
        'edgeramp_requests_total{outcome="client_error",live="true"} 1',
        'edgeramp_executions_total{outcome="ok"} 1',
    }


def test_an_exception_that_a_client_caused_is_the_clients() -> None:
    server = Harness(counted=("/completions",), executes=True, blame=lambda error: 400)
    server.breaks_off = True
    with pytest.raises(RuntimeError):
        server.get("/v1/completions")
    assert counts(server) == {'edgeramp_requests_total{outcome="client_error",live="true"} 1'}


def test_an_answer_that_breaks_off_is_a_server_error_and_a_failed_execution() -> None:
    server = Harness(counted=("/completions",), executes=True)
    server.breaks_off = True
    with pytest.raises(RuntimeError):
        server.get("/v1/completions")
    assert counts(server) == {
        'edgeramp_requests_total{outcome="server_error",live="true"} 1',
        'edgeramp_executions_total{outcome="error"} 1',
    }
