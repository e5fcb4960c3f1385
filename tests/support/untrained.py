"""A tiny llama with random weights, as a GGUF file: "untrained" is its name, for it can say nothing. It loads in
llama.cpp, has one token per byte, and matrices whose rows are multiples of 256, so that every type can hold them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, HEADS, HIDDEN, LAYERS, TRAINED_CONTEXT = 256, 4, 512, 2, 256
SPECIAL = ("<unk>", "<s>", "</s>")
VOCABULARY = len(SPECIAL) + 256
_ALIGNMENT = 32
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_KINDS: dict[type, tuple[int, str]] = {bool: (7, "?"), int: (4, "I"), float: (6, "f")}


def text(value: str) -> bytes:
    """A GGUF string."""
    return struct.pack("<Q", len(value.encode())) + value.encode()


def value(item: Any) -> bytes:
    """A GGUF value with its type: bool, int (u32), float (f32), str, or a list of one of them (int as i32)."""
    if isinstance(item, str):
        return struct.pack("<I", 8) + text(item)
    if isinstance(item, list):
        if isinstance(item[0], str):
            return struct.pack("<IIQ", 9, 8, len(item)) + b"".join(text(i) for i in item)
        kind, code = (5, "i") if isinstance(item[0], int) else (6, "f")
        return struct.pack(f"<IIQ{len(item)}{code}", 9, kind, len(item), *item)
    kind, code = _KINDS[type(item)]
    return struct.pack(f"<I{code}", kind, item)


def gguf(metadata: dict[str, Any], tensors: dict[str, np.ndarray[Any, Any]]) -> bytes:
    """A GGUF file of version 3 with F32 tensors."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(text(key) + value(item) for key, item in metadata.items())
    data = b""
    for name, tensor in tensors.items():
        shape = tensor.shape[::-1]  # GGUF begins with the row's width
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data))
        data += tensor.astype("<f4").tobytes()
        data += bytes(-len(data) % _ALIGNMENT)
    return head + bytes(-len(head) % _ALIGNMENT) + data


def metadata(**more: Any) -> dict[str, Any]:
    """What llama.cpp asks of a llama with a byte vocabulary; `more` goes on top."""
    return {
        "general.architecture": "llama",
        "general.name": "untrained",
        "general.file_type": 0,
        "llama.block_count": LAYERS,
        "llama.context_length": TRAINED_CONTEXT,
        "llama.embedding_length": WIDTH,
        "llama.feed_forward_length": HIDDEN,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": WIDTH // HEADS,
        "llama.vocab_size": VOCABULARY,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))],
        "tokenizer.ggml.scores": [0.0] * VOCABULARY,
        "tokenizer.ggml.token_type": [_UNKNOWN, _CONTROL, _CONTROL, *([_BYTE] * 256)],
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_space_prefix": False,
        **{key.replace("__", "."): item for key, item in more.items()},
    }


def tensors(seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Random weights, small enough that the logits stay finite in every type."""
    rng = np.random.default_rng(seed)

    def matrix(rows: int, width: int) -> np.ndarray[Any, Any]:
        return rng.normal(0, 1 / np.sqrt(width), (rows, width)).astype(np.float32)

    found = {"token_embd.weight": matrix(VOCABULARY, WIDTH)}
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        found[f"{block}attn_norm.weight"] = np.ones(WIDTH, np.float32)
        for part in ("q", "k", "v", "output"):
            found[f"{block}attn_{part}.weight"] = matrix(WIDTH, WIDTH)
        found[f"{block}ffn_norm.weight"] = np.ones(WIDTH, np.float32)
        found[f"{block}ffn_gate.weight"] = matrix(HIDDEN, WIDTH)
        found[f"{block}ffn_up.weight"] = matrix(HIDDEN, WIDTH)
        found[f"{block}ffn_down.weight"] = matrix(WIDTH, HIDDEN)
    found["output_norm.weight"] = np.ones(WIDTH, np.float32)
    found["output.weight"] = matrix(VOCABULARY, WIDTH)
    return found


def untrained(seed: int = 0) -> bytes:
    """The whole file, about 6 MB."""
    return gguf(metadata(), tensors(seed))


def tokens(words: str) -> list[int]:
    """The tokens of a text: one per byte."""
    return [len(SPECIAL) + byte for byte in words.encode()]


def write(path: Path, seed: int = 0) -> Path:
    """The model at `path`."""
    path.write_bytes(untrained(seed))
    return path
