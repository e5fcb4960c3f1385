"""Labelled data as the Jobs read it: one `data.npz` per split, disjoint by the digest of each raw item."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Shares = Sequence[tuple[str, int]]


def item_digest(raw: bytes) -> str:
    """SHA-256 in hex of the raw item, before any preprocessing."""
    return hashlib.sha256(raw).hexdigest()


def partition(
    ids: Sequence[str], labels: npt.NDArray[np.int64], per_class: Shares
) -> dict[str, npt.NDArray[np.int64]]:
    """Indices per split: of each class the stated number of items, in the order of their digests.

    No random number is drawn: the digests are the order, so that adding data moves no item silently into
    another split. The last share may be -1: all that is left. Raises ValueError when a class is too small.
    """
    chosen: dict[str, list[int]] = {name: [] for name, _ in per_class}
    for label in np.unique(labels):
        rest = sorted(np.flatnonzero(labels == label).tolist(), key=lambda i: ids[i])
        for name, count in per_class:
            take = len(rest) if count < 0 else count
            if len(rest) < take:
                raise ValueError(
                    f"class {label} has {len(rest)} items left; the split {name!r} asks for {take}"
                )
            chosen[name] += rest[:take]
            rest = rest[take:]
    return {
        name: np.array(sorted(rows, key=lambda i: ids[i]), dtype=np.int64) for name, rows in chosen.items()
    }


def check_disjoint(splits: Mapping[str, Sequence[str]]) -> None:
    """Raises ValueError when an item digest is in two splits, or twice in one."""
    seen: dict[str, str] = {}
    for name, ids in splits.items():
        for digest in ids:
            if digest in seen:
                raise ValueError(f"item {digest[:12]} is in split {seen[digest]!r} and in split {name!r}")
            seen[digest] = name


def write_split(
    folder: Path,
    labels: npt.NDArray[np.int64],
    ids: Sequence[str],
    inputs: Mapping[str, npt.NDArray[np.generic]],
) -> Path:
    """`folder/data.npz`: `y` int64 [n], `id` unicode [n], and `x.<input>` with first axis n per model input."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, npt.NDArray[np.generic]] = {"y": labels.astype(np.int64), "id": np.array(list(ids))}
    arrays |= {f"x.{name}": values for name, values in inputs.items()}
    if len({len(a) for a in arrays.values()}) != 1:
        raise ValueError(f"arrays differ in length: { {k: len(v) for k, v in arrays.items()} }")
    path = folder / "data.npz"
    np.savez_compressed(path, allow_pickle=False, **arrays)
    return path
