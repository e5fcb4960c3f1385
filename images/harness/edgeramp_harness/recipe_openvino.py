"""OpenVINO conversion, and NNCF's quantizers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from edgeramp.report.exit_codes import ExitCode
from edgeramp.report.spec import Candidate
from edgeramp_harness import data, scoring
from edgeramp_harness.errors import JobError, unsupported
from edgeramp_harness.log import say
from edgeramp_harness.recipe_ort import CALIBRATION_ITEMS, Prepared


def tool(with_nncf: bool = False) -> str:
    """Names and versions."""
    import openvino

    name = f"openvino {openvino.__version__.split('-')[0]}"
    if with_nncf:
        import nncf

        name += f", nncf {nncf.__version__}"
    return name


def load_model(model: Path, model_format: str) -> Any:
    """An ov.Model from ONNX or IR, in memory."""
    import openvino as ov

    path = model / ("model.onnx" if model_format == "onnx" else "model.xml")
    try:
        return ov.convert_model(str(path)) if model_format == "onnx" else ov.Core().read_model(str(path))
    except Exception as error:  # OpenVINO's front ends raise RuntimeError and worse
        raise unsupported(f"OpenVINO cannot convert the model: {str(error).strip()[:600]}") from error


def convert(model: Path, model_format: str, out: Path) -> Prepared:
    """IR with FP32 weights; the precision is chosen when it is loaded."""
    _save(load_model(model, model_format), out)
    return Prepared(out, "openvino-ir", tool())


def _save(model: Any, out: Path) -> None:
    import openvino as ov

    ov.save_model(model, str(out / "model.xml"), compress_to_fp16=False)


def _dataset(model: Any, split: data.Split, indices: Iterable[int]) -> Any:
    """An nncf.Dataset over items, as {input name: array of one item} in the model's types."""
    nncf = _nncf()
    types = {port.any_name: np.dtype(port.element_type.to_dtype()) for port in model.inputs}
    missing = sorted(set(types) - set(split.inputs))
    if missing:
        raise data.unusable(f"the data has no array x.{missing[0]}")

    def feed(index: int) -> dict[str, Any]:
        return {n: a.astype(types[n], copy=False) for n, a in split.feeds(index).items() if n in types}

    return nncf.Dataset(list(indices), feed)


def _nncf() -> Any:
    try:
        import nncf
    except ImportError as error:
        raise unsupported("this image has no NNCF; use the openvino image", "ToolMissing") from error
    nncf.set_log_level(30)
    return nncf


def _options(candidate: Candidate, family: str, split: data.Split) -> dict[str, Any]:
    nncf = _nncf()
    params = candidate.params
    preset = str(params.get("preset", "mixed" if family.startswith("transformer") else "performance"))
    options: dict[str, Any] = {
        "preset": nncf.QuantizationPreset(preset),
        "subset_size": min(split.items, int(params.get("items", CALIBRATION_ITEMS))),
        "fast_bias_correction": bool(params.get("fastBiasCorrection", True)),
    }
    if family.startswith("transformer"):
        options["model_type"] = nncf.ModelType.TRANSFORMER
    return options


def ptq(
    model: Path, model_format: str, out: Path, candidate: Candidate, split: data.Split, family: str
) -> Prepared:
    """Post-training quantization to INT8."""
    nncf = _nncf()
    source = load_model(model, model_format)
    options = _options(candidate, family, split)
    say(f"quantizing with {options['subset_size']} calibration items")
    quantized = nncf.quantize(source, _dataset(source, split, range(split.items)), **options)
    return _finish(
        source, quantized, out, {"preset": str(options["preset"]), "items": options["subset_size"]}
    )


def accuracy_control(
    model: Path,
    model_format: str,
    out: Path,
    candidate: Candidate,
    calibration: data.Split,
    selection: data.Split,
    family: str,
    metric: str,
    max_drop: float,
    deadline: float,
) -> Prepared:
    """PTQ, then layers go back to FP32 until the metric on the selection split drops by at most `max_drop`.

    Capped by `maxIterations` (default 60) and `deadline` (time.monotonic); past it the Job ends with 15.
    """
    nncf = _nncf()
    source = load_model(model, model_format)
    limit = min(selection.items, int(candidate.params.get("validationItems", 1000)))
    chosen = np.random.default_rng(candidate.seed).permutation(selection.items)[:limit]
    validate, log = _validator(scoring.metric(metric), selection, limit, deadline)
    advanced = nncf.AdvancedAccuracyRestorerParameters(
        max_num_iterations=int(candidate.params.get("maxIterations", 60)),
        ranking_subset_size=min(limit, int(candidate.params.get("rankingItems", 300))),
        num_ranking_workers=1,
    )
    quantized = nncf.quantize_with_accuracy_control(
        source,
        calibration_dataset=_dataset(source, calibration, range(calibration.items)),
        validation_dataset=nncf.Dataset([int(i) for i in sorted(chosen)], lambda i: i),
        validation_fn=validate,
        max_drop=max_drop,
        drop_type=nncf.DropType.ABSOLUTE,
        advanced_accuracy_restorer_parameters=advanced,
        **_options(candidate, family, calibration),
    )
    details = {
        "validations": len(log),
        "validationItems": limit,
        "maxDrop": max_drop,
        "metricByValidation": log,
    }
    prepared = _finish(source, quantized, out, details)
    if log and log[0] - log[-1] > max_drop:
        prepared.warnings.append(f"the drop stayed above {max_drop} after {len(log)} validations")
    return prepared


def _validator(
    score: scoring.Score, split: data.Split, whole: int, deadline: float
) -> tuple[Callable[[Any, Iterable[Any]], tuple[float, list[float]]], list[float]]:
    """validation_fn for NNCF: per-item scores on the item numbers it hands in.

    `log` collects the means over all `whole` items; NNCF also calls it with one item to see what it returns.
    """
    log: list[float] = []

    def validate(compiled: Any, items: Iterable[Any]) -> tuple[float, list[float]]:
        if time.monotonic() > deadline:
            raise JobError(
                ExitCode.BUDGET_SPENT, f"accuracy control was not done after {len(log)} validations"
            )
        names = {port.any_name: np.dtype(port.element_type.to_dtype()) for port in compiled.inputs}
        request, scores = compiled.create_infer_request(), []
        for item in items:
            index = int(item)
            feed = {n: a.astype(names[n], copy=False) for n, a in split.feeds(index).items() if n in names}
            outputs = list(request.infer(feed).to_tuple())
            scores.append(float(score(outputs, split.labels[index : index + 1])[0]))
        mean = float(np.mean(scores))
        if len(scores) == whole:
            log.append(mean)
            say(f"validation {len(log)}: {mean:.4f} on {whole} items")
        return mean, scores

    return validate, log


def weight_compression(model: Path, model_format: str, out: Path, candidate: Candidate) -> Prepared:
    """INT8 weights, activations stay in FP32."""
    nncf = _nncf()
    source = load_model(model, model_format)
    modes = {"int8-asym": nncf.CompressWeightsMode.INT8_ASYM, "int8-sym": nncf.CompressWeightsMode.INT8_SYM}
    mode = str(candidate.params.get("mode", "int8-asym"))
    if mode not in modes:
        raise unsupported(f"mode {mode!r}; choose one of {', '.join(modes)}")
    compressed = nncf.compress_weights(source, mode=modes[mode])
    total = _compute_nodes(compressed)
    changed = sum(1 for op in compressed.get_ops() if _is_compressed_weight(op))
    if changed == 0:
        raise unsupported("the model has no weights that NNCF compresses", "NothingQuantized")
    _save(compressed, out)
    say(f"{changed} weights compressed, {total} compute operators")
    return Prepared(
        out, "openvino-ir", tool(True), min(changed, total), None, [], {"mode": mode, "weights": changed}
    )


_COMPUTE = frozenset({"Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul", "LSTMSequence"})


def _compute_nodes(model: Any) -> int:
    return sum(1 for op in model.get_ops() if op.get_type_name() in _COMPUTE)


def _is_compressed_weight(op: Any) -> bool:
    """A matrix of integers; zero points have one value per channel or group."""
    if op.get_type_name() != "Constant" or op.get_element_type().get_type_name() not in ("u8", "i8"):
        return False
    return sum(1 for d in op.get_output_shape(0) if int(d) > 1) > 1


def _quantized_nodes(model: Any) -> int:
    """Compute operators whose data input comes from a FakeQuantize (through shape-only operators)."""
    passing = frozenset(
        {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "MaxPool", "Concat", "Split", "VariadicSplit"}
    )
    count = 0
    for op in model.get_ops():
        if op.get_type_name() not in _COMPUTE:
            continue
        node = op.input_value(0).get_node()
        for _ in range(8):
            if node.get_type_name() not in passing:
                break
            node = node.input_value(0).get_node()
        count += node.get_type_name() == "FakeQuantize"
    return count


def _finish(source: Any, quantized: Any, out: Path, details: dict[str, Any]) -> Prepared:
    total, done = _compute_nodes(source), _quantized_nodes(quantized)
    if done == 0:
        why = (
            f"took all {total} back to FP32 to keep the accuracy"
            if "validations" in details
            else "found none to quantize"
        )
        raise unsupported(f"no compute operator of this model is quantized: NNCF {why}", "NothingQuantized")
    _save(quantized, out)
    say(f"{done} of {total} compute operators quantized")
    return Prepared(out, "openvino-ir", tool(True), done, max(0, total - done), [], details)
