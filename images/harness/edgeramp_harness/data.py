"""A data split: `data.npz` with labels `y`, item digests `id`, one array `x.<input>` per model input."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeramp.report.exit_codes import ExitCode
from edgeramp_harness.errors import JobError

FILE = "data.npz"


@dataclass(frozen=True)
class Split:
    """`inputs[name]` has first axis n; `ids` are unique; `cluster` groups items that belong together."""

    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    inputs: dict[str, NDArray[np.generic]]
    cluster: NDArray[np.int64] | None = None

    @property
    def items(self) -> int:
        return len(self.labels)

    def feeds(self, start: int, count: int = 1) -> dict[str, NDArray[np.generic]]:
        """Items [start, start+count) as a model's inputs, contiguous."""
        return {
            name: np.ascontiguousarray(array[start : start + count]) for name, array in self.inputs.items()
        }


def unusable(message: str) -> JobError:
    """Exit 17: the data cannot be used."""
    return JobError(ExitCode.CALIBRATION_UNUSABLE, message)


def load(folder: Path) -> Split:
    """Read and check one split. Exit 17 when it is not what CONTRACT asks for; nothing is unpickled."""
    path = folder / FILE
    if not path.is_file():
        found = ", ".join(sorted(p.name for p in folder.iterdir())) if folder.is_dir() else "nothing"
        raise unusable(f"the data split must be one file {FILE}; found {found}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise unusable(f"{FILE} cannot be read without unpickling: {error}") from error
    for name in ("y", "id"):
        if name not in arrays:
            raise unusable(f"{FILE} has no array {name!r}; it has {', '.join(sorted(arrays)) or 'none'}")
    inputs = {name[2:]: array for name, array in arrays.items() if name.startswith("x.")}
    count = len(arrays["y"])
    lengths = {name: len(array) for name, array in arrays.items() if array.ndim and len(array) != count}
    if not inputs or count == 0:
        raise unusable(f"{FILE} has {count} items and {len(inputs)} input arrays; name inputs x.<input name>")
    if lengths:
        raise unusable(
            f"{FILE}: y has {count} items, but {', '.join(f'{k} has {v}' for k, v in lengths.items())}"
        )
    if len(np.unique(arrays["id"])) != count:
        repeated = count - len(np.unique(arrays["id"]))
        raise unusable(f"{FILE}: {repeated} items appear more than once (ids are digests of the items)")
    cluster = arrays.get("cluster")
    return Split(
        arrays["y"].astype(np.int64),
        arrays["id"].astype(np.str_),
        inputs,
        None if cluster is None else cluster.astype(np.int64),
    )


def content_digests(split: Split) -> set[str]:
    """Digest of every item's input arrays: finds overlap even where two splits give one item two ids."""
    digests = set()
    names = sorted(split.inputs)
    for index in range(split.items):
        hasher = hashlib.sha256()
        for name in names:
            hasher.update(np.ascontiguousarray(split.inputs[name][index]).tobytes())
        digests.add(hasher.hexdigest())
    return digests
