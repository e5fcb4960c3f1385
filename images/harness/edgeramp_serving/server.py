"""The kserve side: a Model for kserve's V2 endpoints, on kserve's own ModelServer and ASGI application."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from types import FrameType
from typing import Any

import kserve
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kserve.errors import InferenceError, InvalidInput
from kserve.model_server import app

from edgeramp_harness.runtimes import Port
from edgeramp_serving.engine import V2_TYPES, BadRequest, Engine, InferenceFailed, Overloaded, to_array
from edgeramp_serving.metrics import Metrics
from edgeramp_serving.middleware import Gate, Middleware
from edgeramp_serving.settings import Settings

_LOG_EVERY = 10.0


class EdgeModel(kserve.Model):  # type: ignore[misc]
    """kserve calls this object; everything else is the engine's."""

    def __init__(self, name: str, engine: Engine) -> None:
        super().__init__(name)
        self._engine = engine
        self._quiet_until = 0.0
        self.ready = True

    async def __call__(
        self, body: kserve.InferRequest, **_: Any
    ) -> tuple[kserve.InferResponse, dict[str, str]]:
        """V2 only: decode, infer, encode. kserve's pre- and post-processing hooks are not used."""
        if not isinstance(body, kserve.InferRequest):
            raise InvalidInput("send the V2 inference protocol")
        try:
            feeds = {i.name: _decode(i) for i in body.inputs}
            outputs = await self._engine.infer(feeds)
        except BadRequest as error:
            raise InvalidInput(str(error)) from error
        except InferenceFailed as error:
            self._complain(str(error))
            raise InferenceError(str(error)) from error
        except Overloaded as error:
            raise _Busy(str(error)) from error
        binary = body.use_binary_outputs
        answer = []
        for port, array in zip(self._engine.outputs, outputs, strict=True):
            output = kserve.InferOutput(port.name, list(array.shape), V2_TYPES[array.dtype.name])
            output.set_data_from_numpy(array, binary_data=bool(binary))
            answer.append(output)
        return kserve.InferResponse(body.id or "", self.name, answer), {}

    async def get_input_types(self) -> list[dict[str, Any]]:
        return [_metadata(p) for p in self._engine.inputs]

    async def get_output_types(self) -> list[dict[str, Any]]:
        return [_metadata(p) for p in self._engine.outputs]

    def _complain(self, message: str) -> None:
        """One line every ten seconds: a model that always fails must not fill the disk with logs."""
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + _LOG_EVERY
            print(f"inference failed: {message}", flush=True)


class _Busy(Exception):
    """503."""


def _decode(tensor: kserve.InferInput) -> Any:
    data = tensor.data
    if isinstance(data, list):
        return to_array(tensor.name, tensor.datatype, tensor.shape, data)
    array = tensor.as_numpy()
    return to_array(tensor.name, tensor.datatype, tensor.shape, array)


def _metadata(port: Port) -> dict[str, Any]:
    return {"name": port.name, "datatype": V2_TYPES.get(port.dtype.name, "BYTES"), "shape": list(port.shape)}


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first.get("loc", ()))
    return JSONResponse(
        {"error": f"the request is not a V2 inference request: {where}: {first.get('msg')}"}, 400
    )


async def _busy(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, 503, {"retry-after": "1"})


class Server(kserve.ModelServer):  # type: ignore[misc]
    """kserve's server with our middleware, without gRPC, and with a drain before it stops."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        super().__init__(
            http_port=settings.port, enable_grpc=False, enable_latency_logging=False, workers=1,
            max_asyncio_workers=2, grace_period=20,
        )  # fmt: skip
        self._settings, self._gate = settings, Gate()
        app.add_middleware(Middleware, metrics=metrics, gate=self._gate)
        app.add_exception_handler(RequestValidationError, _refused)
        app.add_exception_handler(_Busy, _busy)
        # kserve logs a stack trace for every refused or failed request.
        logging.getLogger("kserve").setLevel(logging.CRITICAL)
        for name in ("uvicorn.access", "kserve.trace"):
            logging.getLogger(name).disabled = True

    async def _serve(self) -> None:
        """uvicorn installs its signal handlers when it starts; ours goes over them once it has."""
        serving = asyncio.ensure_future(super()._serve())
        uvicorn_server = self._rest_server._server
        while not uvicorn_server.started and not serving.done():
            await asyncio.sleep(0.01)
        loop = asyncio.get_running_loop()

        def drain(_signal: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._drain, uvicorn_server)

        signal.signal(signal.SIGTERM, drain)
        print(f"ready on port {self._settings.port}", flush=True)
        await serving

    def _drain(self, uvicorn_server: Any) -> None:
        """Not ready any more, answers close their connections; stop once gateways had time to look elsewhere."""
        if self._gate.draining:
            return
        self._gate.draining = True
        print(f"draining for {self._settings.drain_seconds:g}s", flush=True)

        def stop() -> None:
            uvicorn_server.should_exit = True

        asyncio.get_running_loop().call_later(self._settings.drain_seconds, stop)


def serve(settings: Settings, engine: Engine, metrics: Metrics) -> None:
    """Until SIGTERM; returns after the last request was answered."""
    Server(settings, metrics).start([EdgeModel(settings.model_name, engine)])
    sys.stdout.flush()
