"""Reading a model file without running it: operators, sizes, ports, and a guess at the family."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeramp_harness.errors import JobError, unsupported

Shape = list[int | str]
COMPUTE = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm", "LSTM", "GRU", "Attention"})
_IR_NAMES = {
    "Convolution": "Conv", "GroupConvolution": "Conv", "ConvolutionBackpropData": "ConvTranspose",
    "MatMul": "MatMul", "LSTMSequence": "LSTM", "LSTMCell": "LSTM", "GRUSequence": "GRU",
    "ScaledDotProductAttention": "Attention", "SoftMax": "Softmax",
}  # fmt: skip


@dataclass
class ModelFacts:
    """`inputs[name]` is the shape with names or '?' for dimensions that vary; `types` the element types (numpy)."""

    operators: Counter[str] = field(default_factory=Counter)
    parameters: int = 0
    opset: int | None = None
    inputs: dict[str, Shape] = field(default_factory=dict)
    outputs: dict[str, Shape] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    model_type: str = ""
    quantization: str = ""
    declared_family: str = ""
    declared_quantizable: int = 0

    @property
    def quantizable(self) -> int:
        """Nodes whose work integer kernels can take over; without a graph the matrices that can be stored smaller."""
        return self.declared_quantizable or sum(
            count for name, count in self.operators.items() if name in COMPUTE
        )

    @property
    def family(self) -> str:
        """cnn, transformer-encoder, transformer-decoder, moe, multimodal or other, by operators and ports, unless the header
        said it."""
        if self.declared_family:
            return self.declared_family
        ops, names = self.operators, " ".join([*self.inputs, *self.outputs]).lower()
        attention = ops["Attention"] + ops["MultiHeadAttention"] + ops["GroupQueryAttention"]
        transformer = attention > 0 or (
            ops["Softmax"] >= 1 and ops["MatMul"] >= 4 and ops["MatMul"] > ops["Conv"]
        )
        if transformer and (
            ops["MoE"] + ops["QMoE"] or (ops["TopK"] and ops["ScatterElements"] + ops["ScatterND"])
        ):
            return "moe"
        images = any(len(s) == 4 for s in self.inputs.values()) or "pixel" in names
        tokens = any(len(s) == 2 and self.types.get(n, "").startswith("int") for n, s in self.inputs.items())
        if images and tokens:
            return "multimodal"
        if transformer:
            cached = "past" in names or "present" in names or ops["GroupQueryAttention"] or ops["Trilu"]
            return "transformer-decoder" if cached else "transformer-encoder"
        return "cnn" if ops["Conv"] else "other"


def corrupt(message: str) -> JobError:
    """Exit 12, reason CorruptModel."""
    return unsupported(message, "CorruptModel")


def read(model_format: str, folder: Path) -> ModelFacts:
    """Facts about the model in `folder`."""
    match model_format:
        case "gguf" | "safetensors":
            from edgeramp_harness import facts_headers  # it builds on this module

            by_format = {"gguf": facts_headers.read_gguf, "safetensors": facts_headers.read_safetensors}
            return by_format[model_format](folder / f"model.{model_format}")
        case "openvino-ir":
            return read_ir(folder / "model.xml")
        case _:
            return read_onnx(folder / "model.onnx")


def read_onnx(path: Path) -> ModelFacts:
    """Parse and check an ONNX file. External data is refused: its path could name any file of the pod."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, OSError, ValueError, TypeError) as error:
        raise corrupt(f"{path.name} is not an ONNX model: {error}") from error
    if not model.graph.node:
        raise corrupt(f"{path.name} has no operators; the file is empty or cut off")
    for tensor in _tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise unsupported(
                f"{path.name} keeps weights in other files; save it as one file "
                "(onnx.save with save_as_external_data=False)",
                "ExternalDataRefused",
            )
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise corrupt(f"{path.name} is not a valid ONNX model: {first}") from error
    facts = ModelFacts(
        opset=max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=None)
    )
    facts.operators.update(_operators(model.graph))
    facts.parameters = sum(math.prod(t.dims) for t in _tensors(model.graph) if math.prod(t.dims) > 1)
    weights = {t.name for t in model.graph.initializer}
    for ports, target in ((model.graph.input, facts.inputs), (model.graph.output, facts.outputs)):
        for port in ports:
            if port.name not in weights:
                target[port.name], facts.types[port.name] = _onnx_port(port)
    customs = sorted({o.domain for o in model.opset_import} - {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
    if customs:
        facts.warnings.append(f"operators of the domains {', '.join(customs)} need their own library")
    return facts


def _onnx_port(port: Any) -> tuple[Shape, str]:
    import onnx

    tensor = port.type.tensor_type
    shape: Shape = [
        d.dim_value if d.HasField("dim_value") else (d.dim_param or "?") for d in tensor.shape.dim
    ]
    try:
        name = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except KeyError:
        name = "unknown"
    return shape, name


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in ([attribute.g] if attribute.g.node else []) + list(attribute.graphs):
                yield from _graphs(inner)


def _tensors(graph: Any) -> Iterator[Any]:
    for inner in _graphs(graph):
        yield from inner.initializer
        for node in inner.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t


def _operators(graph: Any) -> Iterator[str]:
    for inner in _graphs(graph):
        for node in inner.node:
            if node.op_type != "Constant":
                yield node.op_type


def read_ir(path: Path) -> ModelFacts:
    """Parse the XML of an OpenVINO IR. Document types and entities are refused (they can blow up or read files)."""
    try:
        text = path.read_bytes()
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise corrupt(f"{path.name} has a document type, which an OpenVINO IR never has")
        root = ET.fromstring(text)
    except (OSError, ET.ParseError) as error:
        raise corrupt(f"{path.name} is not an OpenVINO IR: {error}") from error
    if root.tag != "net" or root.find("layers") is None:
        raise corrupt(f"{path.name} is XML, but not an OpenVINO IR")
    facts = ModelFacts()
    needed = 0
    for layer in root.findall("./layers/layer"):
        kind = layer.get("type", "?")
        data = layer.find("data")
        if kind == "Const" and data is not None:
            count = _ir_elements(data.get("shape", ""))
            facts.parameters += count if count > 1 else 0
            needed = max(needed, int(data.get("offset", 0)) + int(data.get("size", 0)))
        elif kind in ("Parameter", "Result"):
            _ir_port(layer, facts)
        else:
            facts.operators[_IR_NAMES.get(kind, kind)] += 1
    weights = path.with_suffix(".bin")
    if not weights.exists() or weights.stat().st_size < needed:
        raise corrupt(
            f"{weights.name} is shorter than {path.name} says ({needed} bytes); the file is cut off"
        )
    return facts


def _ir_elements(shape: str) -> int:
    return math.prod(int(d) for d in shape.replace(" ", "").split(",") if d) if shape else 1


def _ir_port(layer: ET.Element, facts: ModelFacts) -> None:
    is_input = layer.get("type") == "Parameter"
    port = layer.find("./output/port" if is_input else "./input/port")
    if port is None:
        return
    shape: Shape = [
        int(d.text) if d.text and d.text.lstrip("-").isdigit() else "?" for d in port.findall("dim")
    ]
    shape = ["?" if d == -1 else d for d in shape]
    name = (port.get("names") or layer.get("name") or "?").split(",")[0]
    if is_input:
        facts.inputs[name] = shape
        data = layer.find("data")
        types = {
            "f32": "float32",
            "i64": "int64",
            "i32": "int32",
            "f16": "float16",
            "u8": "uint8",
            "i8": "int8",
        }
        facts.types[name] = types.get(data.get("element_type", "") if data is not None else "", "unknown")
    else:
        facts.outputs[name] = shape
