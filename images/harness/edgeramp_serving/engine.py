"""The loaded model behind any protocol: checks inputs, keeps inference off the event loop, bounds the queue."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeramp_harness import runtimes
from edgeramp_harness.runtimes import Port
from edgeramp_serving.metrics import Metrics
from edgeramp_serving.settings import Settings

Array = NDArray[Any]
V2_TYPES = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "int8": "INT8",
    "int16": "INT16", "int32": "INT32", "int64": "INT64", "float16": "FP16", "float32": "FP32", "float64": "FP64",
}  # fmt: skip
NUMPY_TYPES = {v2: np.dtype(name) for name, v2 in V2_TYPES.items()}


class BadRequest(Exception):
    """The client's mistake: 400."""


class Overloaded(Exception):
    """The queue is full: 503."""


class InferenceFailed(Exception):
    """The runtime raised: 500."""


class Engine:
    """One artifact, `workers` sessions, one thread each."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._sessions: queue.SimpleQueue[runtimes.Session] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(settings.workers, "inference")
        self._waiting = 0
        self.inputs: tuple[Port, ...] = ()
        self.outputs: tuple[Port, ...] = ()
        self.effective_precision = ""

    def load(self) -> None:
        """Load and run each session three times on zeros of the input shapes. Raises runtimes' errors."""
        for _ in range(self._settings.workers):
            session = runtimes.load(
                self._settings.framework,
                self._settings.model_dir,
                self._settings.precision,
                self._settings.threads,
            )
            for _ in range(3):
                session.infer({port.name: port.zeros() for port in session.inputs})
            self.inputs, self.outputs = session.inputs, session.outputs
            self.effective_precision = session.effective_precision
            self._sessions.put(session)

    async def infer(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Outputs in the order of `outputs`. Raises BadRequest, Overloaded or InferenceFailed."""
        checked = self.check(feeds)
        if self._waiting >= self._settings.workers + self._settings.queue:
            raise Overloaded(f"{self._waiting} requests are waiting already; try again later")
        self._waiting += 1
        try:
            outputs = await asyncio.get_running_loop().run_in_executor(self._threads, self._run, checked)
        except InferenceFailed:
            self._metrics.execution(False)
            raise
        finally:
            self._waiting -= 1
        self._metrics.execution(True)
        return outputs

    def _run(self, feeds: Mapping[str, Array]) -> list[Array]:
        session = self._sessions.get()
        try:
            outputs = session.infer(feeds)
            # OpenVINO hands out views of its own buffers: copy before the session serves the next request.
            return [np.array(o) for o in outputs] if self._settings.framework == "openvino" else outputs
        except Exception as error:  # runtimes raise what they like
            raise InferenceFailed(_reason(error)) from error
        finally:
            self._sessions.put(session)

    def check(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Names, types and shapes against the model, so that what the runtime still refuses is the model's fault."""
        wanted = {port.name: port for port in self.inputs}
        if set(feeds) != set(wanted):
            raise BadRequest(f"inputs must be {', '.join(wanted)}; got {', '.join(sorted(feeds)) or 'none'}")
        checked = {}
        for name, port in wanted.items():
            array = feeds[name]
            fits = array.ndim == len(port.shape) and all(
                w in (-1, h) for w, h in zip(port.shape, array.shape, strict=True)
            )
            if not fits or array.size == 0:
                raise BadRequest(
                    f"input {name} must have the shape {list(port.shape)}, got {list(array.shape)}"
                )
            if array.dtype != port.dtype:
                raise BadRequest(
                    f"input {name} must be {V2_TYPES.get(port.dtype.name)}, got {V2_TYPES.get(array.dtype.name)}"
                )
            checked[name] = array
        return checked


def _reason(error: Exception) -> str:
    """The last words: OpenVINO begins with source files of its own, ONNX Runtime has one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:500]


def to_array(name: str, datatype: str, shape: Sequence[int], data: Any) -> Array:
    """A V2 tensor as an array. Raises BadRequest on unknown types, ragged data, or a length other than the shape's."""
    if datatype not in NUMPY_TYPES:
        raise BadRequest(f"input {name}: datatype {datatype!r} is not supported")
    if any(not isinstance(d, int) or d < 0 for d in shape):
        raise BadRequest(f"input {name}: shape {list(shape)} is not a list of whole numbers")
    dtype = NUMPY_TYPES[datatype]
    try:
        array = np.array(data, dtype=dtype)
        return array.reshape(tuple(shape))
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequest(f"input {name}: {error}") from error
