"""llama.cpp for language models in GGUF: F32 as it came, then Q4_K_M first, up to Q8_0.

The technique is always `gguf`, the exact type is in `params.type`. Our precisions know no 5 and 6 bits: those types
count as int8, the next above them (docs/adr/0020-language-models.md).
"""

from __future__ import annotations

from collections.abc import Iterable

from edgeramp.recipes.common import Choice, Exclusion, Option, Situation
from edgeramp.report import Candidate
from edgeramp.report.spec import Framework, Precision

FRAMEWORK: Framework = "llama.cpp"

# Bits per weight from the block sizes in ggml (the _M mixtures keep some tensors larger). Best first guess first.
TYPES: tuple[tuple[str, Precision, str], ...] = (
    ("Q4_K_M", "int4", "about 4.8 bits per weight: the usual balance of size, speed and quality"),
    ("Q5_K_M", "int8", "about 5.7 bits per weight: where 4 bits cost too much quality"),
    ("Q6_K", "int8", "about 6.6 bits per weight: close to the original"),
    ("Q8_0", "int8", "8.5 bits per weight: nearly lossless, the least gain"),
    ("IQ4_XS", "int4", "about 4.3 bits per weight: the smallest here, more work for the CPU per weight"),
)


def options(situation: Situation) -> Iterable[Option]:
    """Everything llama.cpp can try for this model; it runs on every CPU, so hardware excludes nothing."""
    seen = situation.assessment
    if seen.format != "gguf":
        yield Exclusion("gguf-*", f"llama.cpp reads GGUF, not {seen.format}")
        return
    if seen.architecture not in ("transformer-decoder", "moe"):
        yield Exclusion(
            "gguf-*", f"only language models that write text are measured, not {seen.architecture}"
        )
        return
    yield Choice(
        Candidate(id="gguf-f32", framework=FRAMEWORK, technique="fp32", precision="f32"),
        "the model as it came: the baseline",
    )
    if seen.quantization != "F32":
        yield Exclusion(
            "gguf-q*", f"the weights are {seen.quantization} already; give the model in F32 to quantize it"
        )
        return
    if seen.quantizable_operators == 0:
        yield Exclusion("gguf-q*", "the model has no matrix whose rows are whole blocks of 32 weights")
        return
    for name, precision, why in TYPES:
        yield Choice(_candidate(name, precision), why)


def _candidate(name: str, precision: Precision) -> Candidate:
    return Candidate(
        id=f"gguf-{name.lower().replace('_', '-')}", framework=FRAMEWORK, technique="gguf", precision=precision,
        params={"type": name},
    )  # fmt: skip
