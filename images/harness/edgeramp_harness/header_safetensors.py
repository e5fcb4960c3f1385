"""The header of a safetensors file: names, types and shapes, checked against the file; no tensor is read.

Format: the safetensors README (8 bytes of length, JSON, data without holes). Its own limit on headers is kept.
"""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeramp_harness.header import HeaderError, Tensor

MAX_HEADER = 100_000_000
MAX_DIMENSIONS = 8
BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8, "I32": 4, "I16": 2, "I8": 1,
    "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    tensors: tuple[Tensor, ...]

    @property
    def types(self) -> Counter[str]:
        """How many tensors are stored in each type."""
        return Counter(t.type for t in self.tensors)


def read(path: Path) -> Header:
    """The header. Raises HeaderError on anything that is not a whole safetensors file."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        if size < 8:
            raise HeaderError("it is shorter than 8 bytes; the file is cut off")
        (length,) = struct.unpack("<Q", stream.read(8))
        if length > MAX_HEADER or 8 + length > size:
            raise HeaderError(f"it claims a header of {length} bytes in a file of {size}")
        try:
            entries = json.loads(stream.read(length), object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            raise HeaderError(f"its header is not JSON: {str(error)[:120]}") from error
    if not isinstance(entries, dict):
        raise HeaderError("its header is not a JSON object")
    entries.pop("__metadata__", None)
    found = sorted((_entry(name, value) for name, value in entries.items()), key=lambda f: f[0])
    _check_data([place for place, _ in found], size - 8 - length)
    return Header(tuple(tensor for _, tensor in found))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise HeaderError("a name appears twice")
    return dict(pairs)


def _entry(name: str, value: Any) -> tuple[tuple[int, int], Tensor]:
    try:
        kind, shape, (begin, end) = value["dtype"], value["shape"], value["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise HeaderError(f"the tensor {name[:80]!r} lacks dtype, shape or data_offsets") from error
    numbers = [*shape, begin, end] if isinstance(shape, list) else [None]
    if not all(type(n) is int and n >= 0 for n in numbers) or len(shape) > MAX_DIMENSIONS:
        raise HeaderError(f"the tensor {name[:80]!r} has a shape or place that makes no sense")
    if not isinstance(kind, str) or kind not in BYTES:
        raise HeaderError(f"the tensor {name[:80]!r} has the unknown type {str(kind)[:20]}")
    if end - begin != math.prod(shape) * BYTES[kind]:
        raise HeaderError(f"the tensor {name[:80]!r} has {end - begin} bytes, its shape another number")
    return (begin, end), Tensor(name, tuple(shape), kind)


def _check_data(places: list[tuple[int, int]], size: int) -> None:
    """The data have no holes and end where the file ends."""
    if not places:
        raise HeaderError("it has no tensors")
    at = 0
    for begin, end in places:
        if begin != at:
            raise HeaderError("its data have a hole or overlap")
        at = end
    if at != size:
        raise HeaderError(
            f"it holds {size} bytes of data, its header {at}; the file is cut off or has a tail"
        )
