"""ONNX Runtime's own quantizers."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeramp.report.spec import Candidate, ModelFormat
from edgeramp_harness import data, probe
from edgeramp_harness.errors import unsupported
from edgeramp_harness.log import say

CALIBRATION_ITEMS = 300
_INTEGER = frozenset({"MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "QAttention",
                      "MatMulIntegerToFloat", "QGemm", "QLinearConv", "QLinearMatMul"})  # fmt: skip


@dataclass
class Prepared:
    """What a recipe made: the folder of the artifact and what it says about it."""

    folder: Path
    format: ModelFormat
    tool: str
    operators_quantized: int | None = None
    operators_reverted: int | None = None
    warnings: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)


def tool() -> str:
    """Name and version."""
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


def fp32(model: Path, out: Path) -> Prepared:
    """The model as it is: ONNX Runtime optimizes when it loads."""
    shutil.copyfile(model / "model.onnx", out / "model.onnx")
    return Prepared(out, "onnx", tool())


def reduce_range() -> bool:
    """7-bit weights where the CPU adds pairs of u8*s8 products in 16 bits and would saturate (no VNNI, no AMX)."""
    return not probe.INT8_DOT & set(probe.isa())


def dynamic_int8(model: Path, out: Path, candidate: Candidate) -> Prepared:
    """Weights to INT8, activations quantized at run time."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    source, warnings = _preprocessed(model, out)
    narrow = bool(candidate.params.get("reduceRange", reduce_range()))
    quantize_dynamic(
        str(source), str(out / "model.onnx"),
        per_channel=bool(candidate.params.get("perChannel", True)), reduce_range=narrow, weight_type=QuantType.QInt8,
    )  # fmt: skip
    return _finish(out, warnings, {"reduceRange": narrow})


def static_int8(model: Path, out: Path, candidate: Candidate, split: data.Split) -> Prepared:
    """QDQ: activations with ranges from the calibration split."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    source, warnings = _preprocessed(model, out)
    narrow = bool(candidate.params.get("reduceRange", reduce_range()))
    items = min(split.items, int(candidate.params.get("items", CALIBRATION_ITEMS)))
    methods = {"minmax": CalibrationMethod.MinMax, "entropy": CalibrationMethod.Entropy,
               "percentile": CalibrationMethod.Percentile}  # fmt: skip
    name = str(candidate.params.get("method", "minmax"))
    if name not in methods:
        raise unsupported(f"calibration method {name!r}; choose one of {', '.join(methods)}")
    say(f"calibrating on {items} items")

    def quantize(extra: dict[str, Any]) -> None:
        quantize_static(
            str(source), str(out / "model.onnx"), _Reader(split, items, _names(source)),
            quant_format=QuantFormat.QDQ, per_channel=bool(candidate.params.get("perChannel", True)),
            reduce_range=narrow, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            calibrate_method=methods[name], extra_options=extra,
        )  # fmt: skip

    try:
        quantize({})
    except ValueError as error:
        if "truth value" not in str(
            error
        ):  # ORT 1.32 takes a vector of scales for one number where a bias is small
            raise
        quantize({"QDQDisableWeightAdjustForInt32Bias": True})
        warnings.append(
            "the scales of weights were not adjusted to small biases: ONNX Runtime fails at it here"
        )
    return _finish(out, warnings, {"reduceRange": narrow, "calibrationItems": items, "method": name})


def _names(model: Path) -> dict[str, str]:
    """Input names and their numpy types."""
    from edgeramp_harness.model_facts import read_onnx

    facts = read_onnx(model)
    return {name: facts.types[name] for name in facts.inputs}


class _Reader:
    """ORT's CalibrationDataReader: one item at a time, None at the end."""

    def __init__(self, split: data.Split, items: int, types: dict[str, str]) -> None:
        missing = sorted(set(types) - set(split.inputs))
        if missing:
            raise data.unusable(f"the calibration split has no x.{missing[0]}")
        self._feeds: Iterator[dict[str, Any]] = (
            {n: a.astype(types[n], copy=False) for n, a in split.feeds(i).items() if n in types}
            for i in range(items)
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)

    def __iter__(self) -> _Reader:
        return self

    def __next__(self) -> dict[str, Any]:
        return next(self._feeds)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Part of ORT's interface; not needed for models that calibrate in one pass."""


def _preprocessed(model: Path, out: Path) -> tuple[Path, list[str]]:
    """Shape inference and fusion first, as ORT asks; the model itself where that fails."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    logging.getLogger().setLevel(logging.ERROR)
    target = out.parent / "preprocessed" / "model.onnx"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        quant_pre_process(str(model / "model.onnx"), str(target), skip_symbolic_shape=True)
    except Exception as error:  # a convenience step: the quantizers work without it
        return model / "model.onnx", [f"pre-processing was skipped: {str(error)[:120]}"]
    return target, []


def _finish(out: Path, warnings: list[str], details: dict[str, Any]) -> Prepared:
    quantized, total = count_quantized(out / "model.onnx")
    if quantized == 0:
        raise unsupported("nothing in this model can be quantized by ONNX Runtime", "NothingQuantized")
    say(f"{quantized} of {total} compute operators quantized")
    return Prepared(out, "onnx", tool(), quantized, max(0, total - quantized), warnings, details)


def count_quantized(path: Path) -> tuple[int, int]:
    """(quantized, all) compute operators: integer operators, or compute fed by DequantizeLinear on every data input."""
    import onnx

    from edgeramp_harness.model_facts import COMPUTE

    graph = onnx.load(str(path), load_external_data=False).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    quantized = total = 0
    for node in graph.node:
        if node.op_type in _INTEGER:
            quantized, total = quantized + 1, total + 1
        elif node.op_type in COMPUTE:
            total += 1
            quantized += all(made_by.get(name) == "DequantizeLinear" for name in node.input[:2])
    return quantized, total
