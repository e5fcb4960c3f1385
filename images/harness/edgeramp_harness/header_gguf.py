"""The header of a GGUF file: metadata and tensor list, read without loading the model and within fixed limits.

Format: ggml's docs/gguf.md, versions 2 and 3, little endian. Every count and length in the file is checked against the
limits and against the file before anything is allocated, so a hostile header costs at most MAX_HEADER bytes of reading.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from edgeramp_harness.header import HeaderError, Tensor

MAX_HEADER = 256 * 1024**2
MAX_PAIRS = 65_536
MAX_TENSORS = 262_144
MAX_STRING = 16 * 1024**2
MAX_NAME = 128
MAX_DIMENSIONS = 4
_KEPT = 1024
"""Longer arrays and strings (vocabularies, chat templates) are checked and passed over, not kept."""

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9

# ggml type -> (name, elements per block, bytes per block): ggml.c's type traits.
TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}  # fmt: skip


@dataclass
class Header:
    """`metadata` has scalars and short strings; an array is there as its length under `lengths`."""

    version: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    def number(self, key: str) -> int:
        """A whole number of the architecture (`llama.context_length` as `context_length`); 0 where there is none."""
        value = self.metadata.get(f"{self.architecture}.{key}", 0)
        return value if isinstance(value, int) else 0

    @property
    def types(self) -> Counter[str]:
        """How many tensors are stored in each type."""
        return Counter(t.type for t in self.tensors)

    @property
    def quantization(self) -> str:
        """The type that holds most of the weights."""
        held: Counter[str] = Counter()
        for tensor in self.tensors:
            held[tensor.type] += tensor.elements
        return held.most_common(1)[0][0]


def read(path: Path) -> Header:
    """The header. Raises HeaderError on anything that is not a whole, plausible GGUF file."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        try:
            return _Reader(stream, size).header()
        except (struct.error, UnicodeDecodeError) as error:
            raise HeaderError(f"it has a broken header: {error}") from error


class _Reader:
    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._size, self._at = stream, size, 0

    def header(self) -> Header:
        magic, version = self._take(4), self._number("I")
        if magic != b"GGUF":
            raise HeaderError("it does not begin with GGUF")
        if version not in (2, 3):
            raise HeaderError(f"it has the GGUF version {version}; 2 and 3 are read (little endian)")
        tensors, pairs = self._number("Q"), self._number("Q")
        if not 0 < tensors <= MAX_TENSORS or pairs > MAX_PAIRS:
            raise HeaderError(f"it claims {tensors} tensors and {pairs} pairs of metadata")
        header = Header(version)
        for _ in range(pairs):
            self._pair(header)
        if not header.architecture:
            raise HeaderError("it names no general.architecture")
        places = [self._tensor(header) for _ in range(tensors)]
        self._check_data(header, places)
        return header

    def _take(self, count: int) -> bytes:
        """`count` bytes; the caller has checked that it is no giant."""
        self._advance(count)
        return self._stream.read(count)

    def _advance(self, count: int) -> None:
        self._at += count
        if self._at > self._size:
            raise HeaderError("it ends within its header; the file is cut off")
        if self._at > MAX_HEADER:
            raise HeaderError(f"its header is larger than {MAX_HEADER // 1024**2} MiB")

    def _number(self, code: str) -> Any:
        return struct.unpack("<" + code, self._take(struct.calcsize("<" + code)))[0]

    def _skip(self, count: int) -> None:
        self._advance(count)
        self._stream.seek(self._at)

    def _string(self, limit: int = MAX_STRING) -> str | None:
        """The text; None where it is too long to be kept."""
        length = self._number("Q")
        if length > limit:
            raise HeaderError(f"it has a string of {length} bytes where at most {limit} may be")
        if length > _KEPT:
            self._skip(length)
            return None
        return self._take(length).decode()

    def _pair(self, header: Header) -> None:
        key = self._string(_KEPT)
        assert key is not None
        if key in header.metadata or key in header.lengths:
            raise HeaderError(f"it has {key!r} twice")
        kind = self._number("I")
        if kind == _ARRAY:
            header.lengths[key] = self._array(depth=0)
        elif kind == _STRING:
            text = self._string()
            header.metadata[key] = "" if text is None else text
        elif kind in _SCALARS:
            header.metadata[key] = self._number(_SCALARS[kind])
        else:
            raise HeaderError(f"{key!r} has the unknown type {kind}")

    def _array(self, depth: int) -> int:
        kind, length = self._number("I"), self._number("Q")
        if kind in _SCALARS:
            self._skip(length * struct.calcsize("<" + _SCALARS[kind]))
        elif kind == _STRING:
            for _ in range(length):  # each turn takes 8 bytes at least: the file's end or MAX_HEADER stops it
                self._skip(self._number("Q"))
        elif kind == _ARRAY and depth < 2:
            for _ in range(length):
                self._array(depth + 1)
        else:
            raise HeaderError(f"it has an array of the type {kind} at depth {depth}")
        return int(length)

    def _tensor(self, header: Header) -> tuple[int, int]:
        """Adds the tensor; returns where its data begins and how long it is."""
        name, count = self._string(MAX_NAME), self._number("I")
        assert name is not None
        if not 0 < count <= MAX_DIMENSIONS:
            raise HeaderError(f"the tensor {name!r} has {count} dimensions")
        shape = tuple(self._number("Q") for _ in range(count))
        kind, offset = self._number("I"), self._number("Q")
        if kind not in TYPES:
            raise HeaderError(f"the tensor {name!r} has the unknown type {kind}")
        label, block, size = TYPES[kind]
        if not all(shape) or shape[0] % block:
            raise HeaderError(f"the tensor {name!r} of {label} has the shape {list(shape)}")
        header.tensors.append(Tensor(name, shape, label))
        return offset, math.prod(shape) // block * size

    def _check_data(self, header: Header, places: list[tuple[int, int]]) -> None:
        """Every tensor lies within the file, on the alignment, and no two overlap."""
        alignment = header.metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment <= 0 or alignment % 8 or alignment > 65_536:
            raise HeaderError(f"it has the alignment {alignment!r}")
        start, end = -(-self._at // alignment) * alignment, 0
        for (offset, length), tensor in sorted(zip(places, header.tensors, strict=True), key=lambda p: p[0]):
            if offset % alignment or offset < end:
                raise HeaderError(f"the data of {tensor.name!r} overlap another's or are not aligned")
            end = offset + length
        if start + end > self._size:
            raise HeaderError(f"it has {self._size} bytes and needs {start + end}; the file is cut off")
        if len({t.name for t in header.tensors}) != len(header.tensors):
            raise HeaderError("two tensors have the same name")
