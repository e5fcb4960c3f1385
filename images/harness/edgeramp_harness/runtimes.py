"""Loading an artifact and running it, the same way in Jobs and servers: pinned threads, pinned precision.

OpenVINO runs FP32 models in bf16 where the CPU has it unless told otherwise, so the precision is always given.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeramp_harness.signal_stack import drop_signal_stack

Array = NDArray[Any]
ONNX_FILE = "model.onnx"
IR_FILE = "model.xml"


class LoadError(Exception):
    """The framework refused the artifact."""


class PrecisionError(Exception):
    """The CPU cannot run in the precision asked for."""


@dataclass(frozen=True)
class Port:
    """One input or output. Dimensions that vary are -1."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def zeros(self) -> Array:
        """An input of this shape with 1 for every dimension that varies."""
        return np.zeros(tuple(1 if d < 0 else d for d in self.shape), self.dtype)


class Session(Protocol):
    """A loaded model. Not safe for concurrent use."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    effective_precision: str
    version: str

    def infer(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Outputs in the order of `outputs`; may be views that the next call overwrites."""
        ...

    def unit(self, feeds: Mapping[str, Array]) -> object:
        """What a benchmark times: one inference, for a language model one written token."""
        ...


def load(framework: str, folder: Path, precision: str, threads: int) -> Session:
    """A session of `framework` on the model in `folder`. Raises LoadError or PrecisionError."""
    if framework == "onnxruntime":
        return OrtSession(folder / ONNX_FILE, threads, precision)
    if framework == "openvino":
        ir = folder / IR_FILE
        return OpenVinoSession(ir if ir.exists() else folder / ONNX_FILE, threads, precision)
    if framework == "llama.cpp":
        from edgeramp_harness.runtime_llama import GGUF_FILE, LlamaSession

        return LlamaSession(folder / GGUF_FILE, threads, precision)
    raise LoadError(f"no runtime called {framework}")


def import_framework(framework: str) -> str:
    """Import it (before memory is measured); returns its version."""
    os.environ.setdefault("OPENVINO_TELEMETRY_OPT_OUT", "1")
    if framework == "openvino":
        import openvino

        return str(openvino.__version__)
    if framework == "llama.cpp":
        from edgeramp_harness import runtime_llama

        return runtime_llama.version()
    import onnxruntime

    return str(onnxruntime.__version__)


_ORT_TYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16",
    "tensor(int64)": "int64", "tensor(int32)": "int32", "tensor(int16)": "int16", "tensor(int8)": "int8",
    "tensor(uint8)": "uint8", "tensor(uint16)": "uint16", "tensor(uint32)": "uint32", "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
}  # fmt: skip


class OrtSession:
    """ONNX Runtime on the CPU."""

    def __init__(self, path: Path, threads: int, precision: str) -> None:
        import onnxruntime as ort

        self.version = str(ort.__version__)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4  # errors come as exceptions; a line for each would fill the log
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ORT's exceptions share no public base
            raise LoadError(f"ONNX Runtime cannot load {path.name}: {error}") from error
        self.inputs = tuple(self._port(p) for p in self._session.get_inputs())
        self.outputs = tuple(self._port(p) for p in self._session.get_outputs())
        self.effective_precision = precision

    @staticmethod
    def _port(port: Any) -> Port:
        if port.type not in _ORT_TYPES:
            raise LoadError(f"{port.name} has the type {port.type}, which we do not support")
        shape = tuple(d if isinstance(d, int) else -1 for d in port.shape)
        return Port(port.name, np.dtype(_ORT_TYPES[port.type]), shape)

    def infer(self, feeds: Mapping[str, Array]) -> list[Array]:
        result: list[Array] = self._session.run(None, dict(feeds))
        return result

    unit = infer


class OpenVinoSession:
    """OpenVINO on the CPU: one stream, latency hint, precision pinned."""

    def __init__(self, path: Path, threads: int, precision: str) -> None:
        import openvino as ov

        self.version = str(ov.__version__)
        hint = "bf16" if precision == "bf16" else "f16" if precision == "f16" else "f32"
        config = {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": threads,
            # With one thread and one stream OpenVINO 2026.4 swallows an error inside a node of a dynamic model and
            # answers with the request before; without a stream the caller's own thread works, and it raises.
            "NUM_STREAMS": 0 if threads == 1 else 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        }
        try:
            core = ov.Core()
            model = core.read_model(str(path))
            self._compiled = core.compile_model(model, "CPU", config)
            self._request = self._compiled.create_infer_request()
        except Exception as error:  # OpenVINO raises RuntimeError and its kin
            raise LoadError(f"OpenVINO cannot load {path.name}: {error}") from error
        finally:
            drop_signal_stack()
        self.inputs = tuple(self._port(p) for p in self._compiled.inputs)
        self.outputs = tuple(self._port(p) for p in self._compiled.outputs)
        self._index = {p.name: i for i, p in enumerate(self.inputs)}
        used = self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        if precision == "bf16" and used != "bf16":
            raise PrecisionError(f"asked for bf16, but OpenVINO runs in {used} on this CPU")
        self.effective_precision = precision if precision in ("int8", "int4") else used

    @staticmethod
    def _port(port: Any) -> Port:
        shape = tuple(-1 if d.is_dynamic else d.get_length() for d in port.partial_shape)
        return Port(port.any_name, np.dtype(port.element_type.to_dtype()), shape)

    def infer(self, feeds: Mapping[str, Array]) -> list[Array]:
        index = self._index
        values = self._request.infer(
            {index[k]: v for k, v in feeds.items()}, share_inputs=True, share_outputs=True
        )
        return list(values.to_tuple())

    unit = infer
