"""GGUF and safetensors are read from their headers alone; hostile and cut files are refused with a word why."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import untrained

from edgeramp_harness import header_gguf, header_safetensors, model_facts
from edgeramp_harness.errors import JobError

# GGUF


@pytest.fixture(scope="module")
def whole() -> bytes:
    return untrained.untrained()


def small(**more: Any) -> bytes:
    """One matrix and the metadata that a header must have."""
    return untrained.gguf({"general.architecture": "llama", **more}, {"w": np.ones((2, 32), np.float32)})


def facts_of(folder: Path, content: bytes, model_format: str = "gguf") -> model_facts.ModelFacts:
    (folder / f"model.{model_format}").write_bytes(content)
    return model_facts.read(model_format, folder)


def refusal(folder: Path, content: bytes, model_format: str = "gguf") -> str:
    with pytest.raises(JobError) as caught:
        facts_of(folder, content, model_format)
    assert (caught.value.code, caught.value.reason) == (12, "CorruptModel")
    return caught.value.message


def test_a_llama_is_a_transformer_decoder_with_its_parameters_and_ports(tmp_path: Path, whole: bytes) -> None:
    facts = facts_of(tmp_path, whole)
    weights = untrained.tensors()
    assert facts.parameters == sum(w.size for w in weights.values())
    assert (facts.family, facts.model_type, facts.quantization) == ("transformer-decoder", "llama", "F32")
    assert facts.inputs == {"tokens": ["n", "length"]}
    assert facts.outputs == {"logits": ["n", untrained.VOCABULARY]}
    assert facts.quantizable == sum(w.ndim == 2 for w in weights.values())
    assert not facts.warnings


def test_rows_that_no_k_type_can_hold_are_a_warning(tmp_path: Path) -> None:
    assert "1 of 1 matrices have rows that are no multiple of 256" in facts_of(tmp_path, small()).warnings[0]


@pytest.mark.parametrize(
    ("metadata", "family"),
    [
        ({"general.architecture": "qwen2", "qwen2.attention.head_count": 8}, "transformer-decoder"),
        ({"general.architecture": "llama", "llama.expert_count": 8}, "moe"),
        ({"general.architecture": "nomic-bert"}, "transformer-encoder"),
        ({"general.architecture": "gte", "gte.attention.causal": False}, "transformer-encoder"),
        ({"general.architecture": "clip"}, "multimodal"),
        ({"general.architecture": "unheard-of"}, "other"),
    ],
)
def test_the_family_follows_the_architecture_and_its_metadata(
    tmp_path: Path, metadata: dict[str, Any], family: str
) -> None:
    assert facts_of(tmp_path, untrained.gguf(metadata, {"w": np.ones((2, 256), np.float32)})).family == family


def test_a_gguf_without_its_last_byte_is_cut_off(tmp_path: Path, whole: bytes) -> None:
    assert "cut off" in refusal(tmp_path, whole[:-1])


def test_no_prefix_of_a_gguf_is_taken_for_a_whole_one(tmp_path: Path) -> None:
    content = small()
    for length in range(len(content)):
        assert refusal(tmp_path, content[:length])


HEAD = b"GGUF" + struct.pack("<I", 3)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"GGML" + bytes(60), "does not begin with GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 9, 1, 1), "version 9"),
        (HEAD + struct.pack("<QQ", 1 << 60, 0), "tensors and 0 pairs"),
        (HEAD + struct.pack("<QQ", 1, 1 << 60), "pairs of metadata"),
        (HEAD + struct.pack("<QQQ", 1, 1, 1 << 62), "string of"),
        (HEAD + struct.pack("<QQ", 1, 1) + untrained.text("k") + struct.pack("<I", 99), "unknown type 99"),
        (HEAD + struct.pack("<QQ", 1, 1) + untrained.text("k") + struct.pack("<IIQ", 9, 10, 1 << 61), "cut off"),
        (HEAD + struct.pack("<QQ", 1, 1) + untrained.text("k") + struct.pack("<IIQ", 9, 8, 1 << 61), "cut off"),
        (HEAD + struct.pack("<QQ", 1, 1) + untrained.text("k") + struct.pack("<IIQIQIQ", 9, 9, 1, 9, 1, 9, 1), "depth 2"),
        (HEAD + struct.pack("<QQ", 1, 1) + untrained.text("k") + untrained.value(1), "general.architecture"),
        (HEAD + struct.pack("<QQ", 1, 2) + (untrained.text("k") + untrained.value(1)) * 2, "twice"),
        (untrained.gguf({"general.architecture": "a", "general.alignment": 7}, {"w": np.ones(8, np.float32)}), "alignment 7"),
    ],
    ids=range(12),
)  # fmt: skip
def test_a_hostile_gguf_is_refused_before_anything_is_allocated(
    tmp_path: Path, content: bytes, why: str
) -> None:
    assert why in refusal(tmp_path, content)


def test_tensors_that_overlap_are_refused(tmp_path: Path) -> None:
    two = untrained.gguf(
        {"general.architecture": "a"}, {"v": np.ones(8, np.float32), "w": np.ones(8, np.float32)}
    )
    place = two.index(b"w") + 1 + struct.calcsize("<IQI")
    moved = two[:place] + struct.pack("<Q", 0) + two[place + 8 :]
    assert "overlap" in refusal(tmp_path, moved)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_gguf_with_any_bytes_changed_is_read_or_refused_and_never_anything_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(small(general__name="x", a=[1, 2], b=["x", "y"], c=True))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "model.gguf"
    path.write_bytes(bytes(content))
    try:
        header = header_gguf.read(path)
    except header_gguf.HeaderError:
        return
    assert header.architecture and all(t.elements > 0 for t in header.tensors)


@settings(max_examples=200, deadline=None)
@given(tail=st.binary(max_size=400))
def test_any_bytes_after_the_magic_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, tail: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "model.gguf"
    path.write_bytes(HEAD + tail)
    with pytest.raises(header_gguf.HeaderError):
        header_gguf.read(path)


# safetensors


def safetensors(entries: Any, data: int | None = None) -> bytes:
    head = json.dumps(entries).encode()
    size = max((e["data_offsets"][1] for e in entries.values()), default=0) if data is None else data
    return struct.pack("<Q", len(head)) + head + bytes(size)


def entry(shape: list[int], begin: int = 0, kind: str = "F32", size: int | None = None) -> dict[str, Any]:
    length = int(np.prod(shape)) * header_safetensors.BYTES.get(kind, 4) if size is None else size
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, begin + length]}


@pytest.mark.parametrize(
    ("names", "shape", "family"),
    [
        (["model.layers.0.self_attn.q_proj.weight", "lm_head.weight"], [4, 4], "transformer-decoder"),
        (["encoder.layer.0.attention.self.query.weight"], [4, 4], "transformer-encoder"),
        (["model.layers.0.block_sparse_moe.experts.0.w1.weight", "lm_head.weight"], [4, 4], "moe"),
        (["vision_tower.x.weight", "language_model.model.layers.0.self_attn.q_proj.weight"], [4, 4], "multimodal"),
        (["conv1.weight"], [4, 1, 3, 3], "cnn"),
        (["linear.weight"], [4, 4], "other"),
    ],
)  # fmt: skip
def test_the_names_of_its_weights_tell_the_family_of_a_safetensors_file(
    tmp_path: Path, names: list[str], shape: list[int], family: str
) -> None:
    size = int(np.prod(shape)) * 4
    facts = facts_of(
        tmp_path, safetensors({n: entry(shape, i * size) for i, n in enumerate(names)}), "safetensors"
    )
    assert (facts.family, facts.quantization) == (family, "F32")
    assert facts.parameters == len(names) * int(np.prod(shape))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"1234", "cut off"),
        (struct.pack("<Q", 1 << 62), "claims a header"),
        (struct.pack("<Q", 4) + b"nope", "not JSON"),
        (struct.pack("<Q", 200_000) + b"[" * 200_000, "not JSON"),
        (struct.pack("<Q", 2) + b"[]", "not a JSON object"),
        (struct.pack("<Q", 2) + b"{}", "no tensors"),
        (safetensors({"w": entry([2, 2])}, data=15), "cut off or has a tail"),
        (safetensors({"w": entry([2, 2])}, data=17), "cut off or has a tail"),
        (safetensors({"w": entry([2, 2], begin=8)}), "hole or overlap"),
        (safetensors({"w": entry([2, 2], size=3)}), "its shape another number"),
        (safetensors({"w": entry([2, 2], kind="F3")}), "unknown type"),
        (safetensors({"w": {**entry([2]), "shape": [-2]}}), "makes no sense"),
        (safetensors({"w": {**entry([2]), "shape": [True]}}), "makes no sense"),
        (safetensors({"w": {"data_offsets": [0, 4]}}), "lacks"),
        (struct.pack("<Q", 15) + b'{"a":{},"a":{}}', "twice"),
    ],
    ids=range(15),
)
def test_a_hostile_safetensors_file_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    assert why in refusal(tmp_path, content, "safetensors")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "w"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(entries=JSON, data=st.integers(0, 32))
def test_any_json_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, entries: Any, data: int
) -> None:
    head = json.dumps(entries).encode()
    path = tmp_path_factory.mktemp("fuzz") / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(data))
    with contextlib.suppress(header_safetensors.HeaderError):
        assert header_safetensors.read(path).tensors
