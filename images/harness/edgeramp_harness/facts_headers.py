"""Facts about models in formats without a graph, from their headers: GGUF names its architecture, safetensors only its
tensors. Nothing is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from edgeramp_harness import header_gguf, header_safetensors
from edgeramp_harness.header import HeaderError, Tensor
from edgeramp_harness.model_facts import ModelFacts, corrupt

_ENCODERS = re.compile(r"bert|t5encoder|eurobert|embedding")
_VISION = re.compile(r"clip|vision|mmproj")
_EXPERTS = re.compile(r"(^|[._])experts?[._]|block_sparse_moe|_exps\b")
_TOWER = re.compile(
    r"(^|\.)(vision_tower|vision_model|visual|image_encoder|multi_modal_projector|mm_projector)\."
)
_ATTENTION = re.compile(r"attn|attention")
_DECODER = re.compile(r"(^|\.)(lm_head|model\.layers|transformer\.h|gpt_neox|decoder)\b")
_BLOCK = 32


def read_gguf(path: Path) -> ModelFacts:
    """Exit 12 for a file that is not whole."""
    try:
        header = header_gguf.read(path)
    except HeaderError as error:
        raise corrupt(f"{path.name} is not a usable GGUF file: {error}") from error
    matrices = [t for t in header.tensors if len(t.shape) > 1]
    facts = ModelFacts(
        parameters=sum(t.elements for t in header.tensors),
        inputs={"tokens": ["n", "length"]},
        outputs={"logits": ["n", vocabulary_size(header)]},
        types={"tokens": "int32", "logits": "float32"},
    )
    facts.declared_family = gguf_family(header)
    facts.model_type, facts.quantization = header.architecture, header.quantization
    facts.declared_quantizable = sum(t.shape[0] % _BLOCK == 0 for t in matrices)
    odd = sum(t.shape[0] % 256 != 0 for t in matrices)
    if odd:
        facts.warnings.append(
            f"{odd} of {len(matrices)} matrices have rows that are no multiple of 256: the K types fall back to larger ones"
        )
    return facts


def vocabulary_size(header: header_gguf.Header) -> int | str:
    """From the token list, else the metadata; '?' where neither says."""
    return header.lengths.get("tokenizer.ggml.tokens") or header.number("vocab_size") or "?"


def gguf_family(header: header_gguf.Header) -> str:
    """By the architecture's name and its metadata: experts, pooling (encoders), vision."""
    name = header.architecture
    if header.number("expert_count") > 0:
        return "moe"
    if _VISION.search(name) or header.metadata.get("general.type") == "mmproj":
        return "multimodal"
    if _ENCODERS.search(name) or header.metadata.get(f"{name}.attention.causal") is False:
        return "transformer-encoder"
    return "transformer-decoder" if header.number("attention.head_count") else "other"


def read_safetensors(path: Path) -> ModelFacts:
    """Exit 12 for a file that is not whole."""
    try:
        header = header_safetensors.read(path)
    except HeaderError as error:
        raise corrupt(f"{path.name} is not a usable safetensors file: {error}") from error
    facts = ModelFacts(parameters=sum(t.elements for t in header.tensors))
    facts.declared_family = names_family(header.tensors)
    facts.quantization = header.types.most_common(1)[0][0]
    facts.declared_quantizable = sum(len(t.shape) > 1 for t in header.tensors)
    return facts


def names_family(tensors: Iterable[Tensor]) -> str:
    """A guess from the names that the common libraries give their weights."""
    listed = list(tensors)
    names = [t.name.lower() for t in listed]

    def any_of(pattern: re.Pattern[str]) -> bool:
        return any(pattern.search(n) for n in names)

    if any_of(_TOWER):
        return "multimodal"
    if any_of(_EXPERTS):
        return "moe"
    if any_of(_ATTENTION):
        return "transformer-decoder" if any_of(_DECODER) else "transformer-encoder"
    return "cnn" if any(len(t.shape) == 4 for t in listed) else "other"
