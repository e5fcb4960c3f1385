"""OpenVINO with NNCF on CPUs: FP32 pinned, bf16, INT8 PTQ, weight compression, PTQ with accuracy control."""

from __future__ import annotations

from collections.abc import Iterable

from edgeramp.recipes.common import Choice, Exclusion, Option, Situation, int8_note
from edgeramp.report import Candidate
from edgeramp.report.spec import Framework, Precision, Technique

FRAMEWORK: Framework = "openvino"


def options(situation: Situation) -> Iterable[Option]:
    """Everything OpenVINO can try for this model on this hardware; the costly escalation last."""
    if situation.assessment.format not in ("onnx", "openvino-ir"):
        yield Exclusion(
            "ov-*", f"OpenVINO is given ONNX or its own IR here, not {situation.assessment.format}"
        )
        return
    yield Choice(
        _candidate("ov-f32", "fp32", "f32"),
        "the same weights in OpenVINO with the precision pinned to f32 (its default may be bf16)",
    )
    if situation.bf16_hardware:
        yield Choice(
            _candidate("ov-bf16", "bf16", "bf16"),
            f"no conversion of weights; the target has {situation.bf16_hardware}",
        )
    else:
        yield Exclusion("ov-bf16", "the target's nodes promise neither AVX512BF16 nor AMXBF16")
    yield Choice(
        _candidate("ov-weights-int8", "weight-compression", "int8"),
        "INT8 weights, computed in f32: smaller with little risk to accuracy, rarely faster",
    )
    if situation.assessment.quantizable_operators == 0:
        yield Exclusion(
            "ov-ptq-int8, ov-accuracy-control-int8", "the model has no operator that NNCF can quantize"
        )
        return
    yield Choice(
        _candidate("ov-ptq-int8", "ptq", "int8"),
        f"NNCF post-training quantization, ranges from the calibration split; {int8_note(situation)}",
    )
    yield Choice(
        _candidate("ov-accuracy-control-int8", "accuracy-control", "int8"),
        "reverts the operators that cost accuracy; takes long, so only where plain PTQ misses the accuracy gate",
        escalation_of="ov-ptq-int8",
    )


def _candidate(name: str, technique: Technique, precision: Precision) -> Candidate:
    return Candidate(id=name, framework=FRAMEWORK, technique=technique, precision=precision)
