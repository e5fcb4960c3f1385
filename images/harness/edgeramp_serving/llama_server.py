"""The OpenAI-compatible server of llama-cpp-python behind our middleware, so that a ramp sees it as any other server.

One request is one execution: that server works on one at a time. Its own code answers /v1/…; we add readiness, the
counts, the bound on waiting requests, the drain, and who is to blame: that server answers 500 to what it cannot read,
and a ramp must not be rolled back for its clients' mistakes.
"""

from __future__ import annotations

import asyncio
import json
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from llama_cpp.server import app as llama_app
from llama_cpp.server.errors import RouteErrorHandler
from llama_cpp.server.settings import ModelSettings, ServerSettings

from edgeramp_harness import runtime_llama
from edgeramp_harness.runtimes import LoadError
from edgeramp_serving.metrics import Metrics
from edgeramp_serving.middleware import Gate, Middleware
from edgeramp_serving.settings import Settings

COUNTED = ("/completions", "/embeddings")
"""Ends of the paths that run the model."""


def load(settings: Settings) -> FastAPI:
    """The application with the model loaded and one token written. Raises LoadError."""
    path = settings.model_dir / runtime_llama.GGUF_FILE
    runtime_llama.quiet()
    try:
        app = llama_app.create_app(
            server_settings=ServerSettings(
                host="127.0.0.1", port=settings.port,
                interrupt_requests=False,  # else a new request cuts off the answer that is being written
            ),
            model_settings=[
                ModelSettings(
                    model=str(path), model_alias=settings.model_name, n_ctx=runtime_llama.CONTEXT, n_gpu_layers=0,
                    n_threads=settings.threads, n_threads_batch=settings.threads, logits_all=False, verbose=False,
                )
            ],
        )  # fmt: skip
    except ValueError as error:
        raise LoadError(f"llama.cpp cannot load {path.name}: {error}") from error
    assert llama_app._llama_proxy is not None  # create_app has just set it; there is no public way to it
    llama_app._llama_proxy(settings.model_name).create_completion(" ", max_tokens=1)

    @app.exception_handler(json.JSONDecodeError)
    def not_json(_request: Request, error: Exception) -> JSONResponse:
        """Their handler of errors reads the body once more, outside of itself."""
        return JSONResponse({"error": _refusal(error)}, 400)

    @app.get("/v2/health/ready")
    def ready() -> dict[str, bool]:
        """The same question to all our servers; the gate answers it while we drain."""
        return {"ready": True}

    return app


_described = RouteErrorHandler.error_message_wrapper


def _blamed(self: RouteErrorHandler, error: Exception, body: Any = None) -> tuple[int, Any]:
    """400 in OpenAI's form for a client's mistake; what the library says otherwise."""
    status, said = _described(self, error, body) if blame(error) >= 500 else (400, _refusal(error))
    return status, said


RouteErrorHandler.error_message_wrapper = _blamed  # type: ignore[method-assign]  # its routes are made on import


def _refusal(error: Exception) -> dict[str, Any]:
    return {"message": str(error)[:500], "type": "invalid_request_error", "param": None, "code": None}


def blame(error: Exception) -> int:
    """400 for what the library raises on bad requests: unreadable, too long for the context, two prompts at once. A model
    that fails raises RuntimeError."""
    if isinstance(error, ExceptionGroup):
        return max(blame(inner) for inner in error.exceptions)
    return 400 if isinstance(error, RequestValidationError | ValueError | AssertionError) else 500


def serve(settings: Settings, app: FastAPI, metrics: Metrics) -> None:
    """Until SIGTERM; returns after the last request was answered."""
    gate = Gate()
    wrapped = Middleware(app, metrics, gate, counted=COUNTED, executes=True, blame=blame)
    _Server(settings, wrapped, gate).run()


class _Server(uvicorn.Server):
    """uvicorn that is not ready any more for a while before it stops."""

    def __init__(self, settings: Settings, app: Any, gate: Gate) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host="0.0.0.0",
                port=settings.port,
                log_level="warning",
                access_log=False,
                limit_concurrency=settings.workers + settings.queue,
                timeout_graceful_shutdown=20,
            )
        )
        self._settings, self._gate = settings, gate
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: Any = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        print(f"ready on port {self._settings.port}", flush=True)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal begins the drain; uvicorn's own way of stopping follows."""
        if self._gate.draining or self._loop is None:
            return super().handle_exit(sig, frame)
        self._gate.draining = True
        print(f"draining for {self._settings.drain_seconds:g}s", flush=True)
        stop = super().handle_exit
        self._loop.call_soon_threadsafe(self._loop.call_later, self._settings.drain_seconds, stop, sig, frame)
        return None
