"""prepare: convert or quantize the model into one candidate, and see that it loads and gives finite answers."""

from __future__ import annotations

import time
from pathlib import Path

from edgeramp.report.spec import PrepareSpec
from edgeramp.report.summary import PrepareSummary
from edgeramp_harness import data, model_facts, probe, recipe_llama, recipe_openvino, recipe_ort
from edgeramp_harness.context import Context, artifact_files, describe
from edgeramp_harness.errors import bad_spec, unsupported
from edgeramp_harness.log import human_bytes, say
from edgeramp_harness.recipe_ort import Prepared
from edgeramp_harness.runner_process import RunnerProcess
from edgeramp_harness.signal_stack import drop_signal_stack
from edgeramp_harness.store import Registry
from edgeramp_harness.verbs.assess import check_inputs

CHECKED_ITEMS = 8
_BY_FRAMEWORK = {
    "onnxruntime": ("fp32", "dynamic-int8", "static-int8"),
    "openvino": ("fp32", "bf16", "ptq", "accuracy-control", "weight-compression"),
    "llama.cpp": ("fp32", "gguf"),
}


def run(spec: PrepareSpec, context: Context) -> PrepareSummary:
    """Exit 12 for a technique that does not fit, 13 for the wrong CPU, 16 for a bad result, 17 for bad data."""
    started = time.monotonic()
    have = probe.isa()
    probe.require_isa(spec.required_isa, have)
    candidate = spec.candidate
    if candidate.technique not in _BY_FRAMEWORK[candidate.framework]:
        known = ", ".join(_BY_FRAMEWORK[candidate.framework])
        raise bad_spec(f"{candidate.framework} has no technique {candidate.technique}; it has {known}")
    model = context.fetch(spec, spec.model, "model")
    calibration_dir = context.fetch(spec, spec.calibration, "calibration")
    facts = model_facts.read(spec.model.format or "onnx", model)
    calibration = data.load(calibration_dir)
    check_inputs(facts, calibration, "calibration")
    say(f"preparing {candidate.id}: {candidate.framework} {candidate.technique}")
    prepared = _prepare(spec, context, model, calibration, facts.family)
    _check(spec, prepared, calibration_dir)
    return _push(spec, context, prepared, have, time.monotonic() - started)


def _prepare(
    spec: PrepareSpec, context: Context, model: Path, calibration: data.Split, family: str
) -> Prepared:
    candidate, model_format = spec.candidate, spec.model.format or "onnx"
    out = context.folder("out/artifact")
    if (candidate.framework == "llama.cpp") != (model_format == "gguf"):
        raise unsupported(f"{candidate.framework} cannot take a model in {model_format}")
    if candidate.framework == "llama.cpp":
        if candidate.technique == "fp32":
            return recipe_llama.fp32(model, out)
        return recipe_llama.quantize(model, out, candidate)
    if candidate.framework == "onnxruntime":
        if model_format != "onnx":
            raise unsupported("ONNX Runtime needs the model as ONNX")
        if candidate.technique == "fp32":
            return recipe_ort.fp32(model, out)
        if candidate.technique == "dynamic-int8":
            return recipe_ort.dynamic_int8(model, out, candidate)
        return recipe_ort.static_int8(model, out, candidate, calibration)
    try:
        return _prepare_openvino(spec, context, model, calibration, family, out)
    finally:
        drop_signal_stack()


def _prepare_openvino(
    spec: PrepareSpec, context: Context, model: Path, calibration: data.Split, family: str, out: Path
) -> Prepared:
    candidate, model_format = spec.candidate, spec.model.format or "onnx"
    match candidate.technique:
        case "ptq":
            return recipe_openvino.ptq(model, model_format, out, candidate, calibration, family)
        case "accuracy-control":
            if spec.selection is None:
                raise bad_spec("accuracy-control needs the selection split")
            selection = data.load(context.fetch(spec, spec.selection, "selection"))
            return recipe_openvino.accuracy_control(
                model, model_format, out, candidate, calibration, selection, family, spec.metric,
                spec.max_accuracy_drop, time.monotonic() + spec.deadline_seconds * 0.9,
            )  # fmt: skip
        case "weight-compression":
            return recipe_openvino.weight_compression(model, model_format, out, candidate)
        case _:
            return recipe_openvino.convert(model, model_format, out)


def _check(spec: PrepareSpec, prepared: Prepared, calibration: Path) -> None:
    """In a fresh process: load it, run a few items. Exit 16 (13 where the CPU lacks the precision)."""
    candidate = spec.candidate
    with RunnerProcess(candidate.id) as runner:
        loaded = runner.load(candidate.framework, candidate.precision, prepared.folder, calibration)
        ran = runner.call("check", items=CHECKED_ITEMS)
    prepared.details["effectivePrecision"] = loaded["effective_precision"]
    say(f"loads and gives finite answers on {ran['items']} items in {loaded['effective_precision']}")


def _push(
    spec: PrepareSpec, context: Context, prepared: Prepared, have: tuple[str, ...], seconds: float
) -> PrepareSummary:
    pushed = Registry.of(spec.store).push(artifact_files(prepared.folder))
    say(f"artifact stored: {human_bytes(pushed.size_bytes)} as {pushed.digest}")
    report = context.push_report(spec, {
        "verb": "prepare",
        "candidate": spec.candidate.model_dump(by_alias=True),
        "inputs": {"model": spec.model.digest, "calibration": spec.calibration.digest},
        "artifact": {"digest": pushed.digest, "format": prepared.format, "files": describe(pushed)},
        "operators": {"quantized": prepared.operators_quantized, "reverted": prepared.operators_reverted},
        "tool": prepared.tool,
        "details": prepared.details,
        "environment": {"node": probe.node_name(), "cpuModel": probe.cpu_model(), "isa": list(have)},
        "warnings": prepared.warnings,
        "seconds": seconds,
    })  # fmt: skip
    return PrepareSummary(
        artifact=pushed.digest,
        format=prepared.format,
        size_bytes=pushed.size_bytes,
        operators_quantized=prepared.operators_quantized,
        operators_reverted=prepared.operators_reverted,
        tool=prepared.tool,
        seconds=round(seconds, 2),
        report=report,
        warnings=prepared.warnings,
    )
