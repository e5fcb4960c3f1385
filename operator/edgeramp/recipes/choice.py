"""The choice of frameworks by hardware and model (design.md's table as data), and its expansion into candidates.

Adding a framework: one module with `options`, one line in RECIPES, one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeramp.recipes import llama_cpp, onnxruntime, openvino
from edgeramp.recipes.common import Choice, Exclusion, Recipe, Situation
from edgeramp.report import Candidate

RECIPES: Mapping[str, Recipe] = {
    "onnxruntime": onnxruntime.options,
    "openvino": openvino.options,
    "llama.cpp": llama_cpp.options,
}
NOT_BUILT = "not built yet"
EDGE_TPU_LABEL = "edgeramp.dev/accelerator"
APPLE_LABEL = "edgeramp.dev/apple-silicon"


@dataclass(frozen=True)
class Row:
    """One class of hardware: frameworks in the order in which they are tried."""

    hardware: str
    first: tuple[str, ...]
    also: tuple[str, ...]


TABLE: Mapping[str, Row] = {
    "apple": Row("Apple silicon", ("mlx",), ("llama.cpp",)),
    "intel": Row("Intel CPU, GPU, NPU", ("openvino",), ("onnxruntime", "olive")),
    "nvidia": Row("NVIDIA", ("olive", "triton"), ("openvino",)),
    "arm": Row("Arm mobile or embedded", ("onnxruntime",), ("openvino", "llama.cpp")),
    "x86": Row("AMD or other x86 CPU", ("openvino", "onnxruntime"), ("olive",)),
    "edgetpu": Row("Edge TPU class", ("openvino",), ("olive",)),
    "language-model": Row("a language model across platforms", ("llama.cpp",), ("mlx",)),
    "large": Row("a multimodal model or one above 7B parameters", ("openvino", "olive"), ()),
}
LARGE_PARAMETERS = 7_000_000_000
LANGUAGE_TASKS = ("text-generation",)
MULTIMODAL_TASKS = ("image-to-text", "visual-question-answering")


@dataclass(frozen=True)
class Expansion:
    """`candidates` in the order in which they are tried; `choices` and `exclusions` in words, for status."""

    candidates: tuple[Candidate, ...]
    choices: tuple[str, ...]
    exclusions: tuple[str, ...]


def hardware_class(labels: Mapping[str, str], features: frozenset[str]) -> str:
    """Which row of the table a node belongs to, from its labels."""
    if "nvidia.com/gpu.product" in labels:
        return "nvidia"
    if labels.get(EDGE_TPU_LABEL) == "edgetpu":
        return "edgetpu"
    if labels.get(APPLE_LABEL) == "true":
        return "apple"
    if labels.get("kubernetes.io/arch", "").startswith("arm") or "ASIMD" in features:
        return "arm"
    vendor = labels.get("feature.node.kubernetes.io/cpu-model.vendor_id", "")
    return "intel" if vendor.lower() in ("intel", "genuineintel") else "x86"


def row_for(situation: Situation, labels: Mapping[str, str]) -> str:
    """The row of the table: what kind of model it is comes before what hardware it shall run on. GGUF is llama.cpp's own
    format, so even a large model in it is for llama.cpp."""
    if situation.assessment.format == "gguf":
        return "language-model"
    if situation.task in MULTIMODAL_TASKS or situation.assessment.parameters > LARGE_PARAMETERS:
        return "large"
    if situation.task in LANGUAGE_TASKS:
        return "language-model"
    return hardware_class(labels, situation.features)


def expand(situation: Situation, hardware: str, allowed: Sequence[str] | None) -> Expansion:
    """Candidates for a model on a class of hardware. `allowed` (spec.frameworks) overrides the table.

    The source's own runtime always takes part where it is allowed: its FP32 is the baseline."""
    row = TABLE[hardware]
    order = tuple(allowed) if allowed else (*row.first, *row.also)
    why = "spec.frameworks" if allowed else f"the default for {row.hardware}"
    choices: list[Choice] = []
    exclusions: list[Exclusion] = []
    for name in order:
        recipe = RECIPES.get(name)
        if recipe is None:
            exclusions.append(Exclusion(name, NOT_BUILT))
            continue
        for option in recipe(situation):
            (choices if isinstance(option, Choice) else exclusions).append(option)  # type: ignore[arg-type]
    exclusions.extend(Exclusion(name, f"not in {why}") for name in RECIPES if name not in order)
    choices.sort(key=lambda c: (bool(c.escalation_of), c.candidate.technique != "fp32"))
    return Expansion(
        candidates=tuple(c.candidate for c in choices),
        choices=(f"{hardware}: {', '.join(order)} ({why})", *(f"{c.candidate.id}: {c.why}" for c in choices)),
        exclusions=tuple(f"{e.what}: {e.why}" for e in exclusions),
    )


def escalation_of(candidate: Candidate) -> str:
    """The technique whose miss makes this one worth its time; empty for the others."""
    return "ptq" if candidate.technique == "accuracy-control" else ""
