"""Which candidates a model gets on a class of hardware, and the reason of every choice and exclusion."""

from __future__ import annotations

from typing import Any

import pytest

from edgeramp.recipes.choice import NOT_BUILT, RECIPES, TABLE, expand, hardware_class, row_for
from edgeramp.recipes.common import Situation
from edgeramp.report import Assessment

CNN: dict[str, Any] = {
    "format": "onnx", "size_bytes": 10, "parameters": 10, "architecture": "cnn", "operators": {"Conv": 3},
    "quantizable_operators": 3,
}  # fmt: skip
VENDOR = "feature.node.kubernetes.io/cpu-model.vendor_id"


def situation(*features: str, **facts: Any) -> Situation:
    return Situation(Assessment(**{**CNN, **facts}), frozenset(features))


def ids(*features: str, hardware: str = "x86", allowed: list[str] | None = None, **facts: Any) -> list[str]:
    return [c.id for c in expand(situation(*features, **facts), hardware, allowed).candidates]


def test_an_x86_cpu_with_vnni_and_bf16_gets_both_frameworks_and_all_candidates() -> None:
    assert ids("AVX512VNNI", "AVX512BF16") == [
        "ov-f32", "ort-f32", "ov-bf16", "ov-weights-int8", "ov-ptq-int8", "ort-dynamic-int8", "ort-static-int8",
        "ov-accuracy-control-int8",
    ]  # fmt: skip


def test_bf16_is_tried_only_where_the_label_promises_it() -> None:
    assert "ov-bf16" not in ids("AVX512VNNI")
    assert "ov-bf16" in ids("AMXBF16")
    said = expand(situation("AVX512VNNI"), "x86", None).exclusions
    assert "ov-bf16: the target's nodes promise neither AVX512BF16 nor AMXBF16" in said


def test_the_escalation_comes_last() -> None:
    assert ids(hardware="intel")[-1] == "ov-accuracy-control-int8"


def test_fp32_comes_first() -> None:
    assert {*ids()[:2]} == {"ort-f32", "ov-f32"}


def test_spec_frameworks_override_the_table() -> None:
    only = expand(situation(), "x86", ["onnxruntime"])
    assert {c.framework for c in only.candidates} == {"onnxruntime"}
    assert "openvino: not in spec.frameworks" in only.exclusions


def test_frameworks_that_are_not_built_are_named() -> None:
    assert f"olive: {NOT_BUILT}" in expand(situation(), "intel", None).exclusions
    apple = expand(situation(), "apple", None)
    assert not apple.candidates and f"mlx: {NOT_BUILT}" in apple.exclusions


def test_a_model_without_quantizable_operators_is_not_quantized() -> None:
    assert ids(quantizable_operators=0) == ["ov-f32", "ort-f32", "ov-weights-int8"]
    said = expand(situation(quantizable_operators=0), "x86", None).exclusions
    assert any("no operator that NNCF can quantize" in line for line in said)


def test_openvino_ir_is_not_given_to_onnx_runtime() -> None:
    found = expand(situation(format="openvino-ir"), "x86", None)
    assert {c.framework for c in found.candidates} == {"openvino"}
    assert "ort-*: ONNX Runtime cannot read the format openvino-ir" in found.exclusions


GGUF = {
    "format": "gguf",
    "architecture": "transformer-decoder",
    "quantization": "F32",
    "quantizable_operators": 16,
}


def test_a_language_model_in_gguf_gets_llama_cpp_with_q4_k_m_first_after_the_baseline() -> None:
    found = expand(situation(**GGUF), "language-model", None)
    assert [c.id for c in found.candidates] == [
        "gguf-f32", "gguf-q4-k-m", "gguf-q5-k-m", "gguf-q6-k", "gguf-q8-0", "gguf-iq4-xs",
    ]  # fmt: skip
    assert {c.framework for c in found.candidates} == {"llama.cpp"}
    assert found.candidates[1].params == {"type": "Q4_K_M"}
    assert f"mlx: {NOT_BUILT}" in found.exclusions


def test_a_gguf_model_is_for_llama_cpp_whatever_the_task_the_size_and_the_hardware() -> None:
    large = Situation(
        Assessment(**{**CNN, **GGUF, "parameters": 8_000_000_000}), frozenset(), "text-generation"
    )
    assert row_for(large, {"nvidia.com/gpu.product": "L4"}) == "language-model"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"quantization": "Q8_0"}, "gguf-q*: the weights are Q8_0 already; give the model in F32 to quantize it"),
        ({"quantizable_operators": 0}, "gguf-q*: the model has no matrix whose rows are whole blocks of 32 weights"),
        ({"architecture": "transformer-encoder"},
         "gguf-*: only language models that write text are measured, not transformer-encoder"),
        ({"format": "onnx"}, "gguf-*: llama.cpp reads GGUF, not onnx"),
    ],
)  # fmt: skip
def test_what_llama_cpp_does_not_try_has_its_reason(facts: dict[str, Any], said: str) -> None:
    assert said in expand(situation(**{**GGUF, **facts}), "language-model", None).exclusions


def test_gguf_is_not_given_to_onnx_runtime_or_openvino() -> None:
    found = expand(situation(**GGUF), "x86", None)
    assert not found.candidates
    assert "ort-*: ONNX Runtime cannot read the format gguf" in found.exclusions
    assert "ov-*: OpenVINO is given ONNX or its own IR here, not gguf" in found.exclusions


EXPECTED_TABLE = {
    "apple": (("mlx",), ("llama.cpp",)),
    "intel": (("openvino",), ("onnxruntime", "olive")),
    "nvidia": (("olive", "triton"), ("openvino",)),
    "arm": (("onnxruntime",), ("openvino", "llama.cpp")),
    "x86": (("openvino", "onnxruntime"), ("olive",)),
    "edgetpu": (("openvino",), ("olive",)),
    "language-model": (("llama.cpp",), ("mlx",)),
    "large": (("openvino", "olive"), ()),
}


@pytest.mark.parametrize("row", TABLE)
def test_a_row_of_the_table_tries_what_the_design_says_and_explains_the_rest(row: str) -> None:
    first, also = EXPECTED_TABLE[row]
    assert (TABLE[row].first, TABLE[row].also) == (first, also)
    for model in (CNN, {**CNN, **GGUF}):
        found = expand(Situation(Assessment(**model), frozenset({"AVX512VNNI"})), row, None)
        order = (*first, *also)
        used = {c.framework for c in found.candidates}
        assert used <= set(order)
        assert found.choices[0] == f"{row}: {', '.join(order)} (the default for {TABLE[row].hardware})"
        built = [f for f in order if f in RECIPES]
        for name in set(order) - set(built):
            assert f"{name}: {NOT_BUILT}" in found.exclusions
        for name in set(RECIPES) - set(order):
            assert f"{name}: not in the default for {TABLE[row].hardware}" in found.exclusions
        silent = [f for f in built if f not in used]
        assert len([e for e in found.exclusions if "*" in e.partition(":")[0]]) >= len(silent)


def test_every_candidate_has_a_reason() -> None:
    found = expand(situation("AVX512VNNI"), "x86", None)
    assert found.choices[0] == "x86: openvino, onnxruntime, olive (the default for AMD or other x86 CPU)"
    assert [line.partition(":")[0] for line in found.choices[1:]] == [c.id for c in found.candidates]


def test_equal_situations_give_equal_candidates() -> None:
    assert expand(situation("AVX512VNNI"), "x86", None) == expand(situation("AVX512VNNI"), "x86", None)


@pytest.mark.parametrize(
    ("labels", "features", "row"),
    [
        ({VENDOR: "Intel"}, ("AVX2",), "intel"),
        ({VENDOR: "AMD"}, ("AVX2",), "x86"),
        ({}, (), "x86"),
        ({"kubernetes.io/arch": "arm64"}, (), "arm"),
        ({}, ("ASIMD",), "arm"),
        ({"nvidia.com/gpu.product": "L4", VENDOR: "Intel"}, (), "nvidia"),
        ({"edgeramp.dev/accelerator": "edgetpu", "kubernetes.io/arch": "arm64"}, (), "edgetpu"),
        ({"edgeramp.dev/apple-silicon": "true", "kubernetes.io/arch": "arm64"}, (), "apple"),
    ],
)
def test_a_node_belongs_to_a_row_of_the_table(
    labels: dict[str, str], features: tuple[str, ...], row: str
) -> None:
    assert hardware_class(labels, frozenset(features)) == row


@pytest.mark.parametrize(
    ("task", "parameters", "row"),
    [
        ("image-classification", 250_000, "x86"),
        ("text-generation", 250_000, "language-model"),
        ("classification", 8_000_000_000, "large"),
        ("image-to-text", 250_000, "large"),
    ],
)
def test_the_kind_of_model_comes_before_the_hardware(task: str, parameters: int, row: str) -> None:
    model = Situation(Assessment(**{**CNN, "parameters": parameters}), frozenset(), task)
    assert row_for(model, {VENDOR: "AMD"}) == row


def test_every_row_has_a_framework_and_every_recipe_a_row() -> None:
    named = {name for row in TABLE.values() for name in (*row.first, *row.also)}
    assert set(RECIPES) <= named and all(row.first for row in TABLE.values())
