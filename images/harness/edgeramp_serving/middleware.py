"""The ASGI middleware that all our servers share: counts inference requests, answers /metrics and /edgeramp/history,
and takes the server out of rotation while it drains."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from edgeramp_serving.metrics import Kind, Metrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MIRROR_HEADER = b"x-edgeramp-mirror"
SHADOW = b"-shadow"
TRACK_HEADER = b"x-edgeramp-track"
BY_HEADER = b"candidate-by-header"


class Gate:
    """Open while the server wants traffic."""

    def __init__(self) -> None:
        self.draining = False


class Middleware:
    """Wraps the whole application; `metrics` and `gate` are shared with the model. Requests whose path ends like one of
    `counted` run it. `executes`: nobody else counts executions, each such request that is not refused is one. `blame`:
    which status an exception that escapes counts as, also within a stream that had begun with 200."""

    def __init__(
        self,
        app: App,
        metrics: Metrics,
        gate: Gate,
        counted: tuple[str, ...] = ("/infer",),
        executes: bool = False,
        blame: Callable[[Exception], int] = lambda _error: 500,
    ) -> None:
        self._app, self._metrics, self._gate = app, metrics, gate
        self._ends, self._executes, self._blame = counted, executes, blame

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path == "/metrics":
            await _answer(
                send, 200, self._metrics.render().encode(), b"text/plain; version=0.0.4; charset=utf-8"
            )
        elif path == "/edgeramp/history":
            report = json.dumps(self._metrics.history.report(), separators=(",", ":"))
            await _answer(send, 200, report.encode(), b"application/json")
        elif path.startswith("/v2/repository/"):
            await _answer(send, 404, b'{"error":"the model of a server never changes"}', b"application/json")
        elif path == "/v2/health/ready" and self._gate.draining:
            await _answer(send, 503, b'{"error":"draining"}', b"application/json")
        elif path.endswith(self._ends):
            await self._counted(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Time from the first byte of the request to the last of the answer; an escaped exception is a 500."""
        start, status, kind = time.perf_counter(), 500, kind_of(scope)

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._gate.draining:
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            status = self._blame(error)
            raise
        finally:
            if self._executes and not 400 <= status < 500:
                self._metrics.execution(status < 500)
            self._metrics.request(status, time.perf_counter() - start, kind)


def kind_of(scope: Scope) -> Kind:
    """Which count a request belongs to. A copy stays one, whatever else its headers say."""
    if is_mirrored(scope):
        return "mirrored"
    chosen = any(name == TRACK_HEADER and value == BY_HEADER for name, value in scope["headers"])
    return "chosen" if chosen else "live"


def is_mirrored(scope: Scope) -> bool:
    """A copy whose answer nobody waits for: tagged by our header, or by Envoy's "-shadow" host."""
    for name, value in scope["headers"]:
        if name == MIRROR_HEADER:
            return True
        if name == b"host" and value.partition(b":")[0].endswith(SHADOW):
            return True
    return False


async def _answer(send: Send, status: int, body: bytes, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
