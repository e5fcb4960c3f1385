"""ONNX Runtime on CPUs: FP32 as it is, dynamic INT8, static INT8 in the QDQ form."""

from __future__ import annotations

from collections.abc import Iterable

from edgeramp.recipes.common import Choice, Exclusion, Option, Situation, int8_note
from edgeramp.report import Candidate

FRAMEWORK = "onnxruntime"


def options(situation: Situation) -> Iterable[Option]:
    """Everything ONNX Runtime can try for this model on this hardware, the cheapest first."""
    if situation.assessment.format != "onnx":
        yield Exclusion("ort-*", f"ONNX Runtime cannot read the format {situation.assessment.format}")
        return
    yield Choice(
        Candidate(id="ort-f32", framework=FRAMEWORK, technique="fp32", precision="f32"),
        "the model as it came, in the runtime of its own format: the baseline",
    )
    if situation.assessment.quantizable_operators == 0:
        yield Exclusion("ort-*-int8", "the model has no operator that ONNX Runtime can quantize")
        return
    yield Choice(
        Candidate(id="ort-dynamic-int8", framework=FRAMEWORK, technique="dynamic-int8", precision="int8"),
        f"needs no calibration and often suits transformers; {int8_note(situation)}",
    )
    yield Choice(
        Candidate(id="ort-static-int8", framework=FRAMEWORK, technique="static-int8", precision="int8"),
        f"weights and activations in INT8 (QDQ), ranges from the calibration split; {int8_note(situation)}",
    )
