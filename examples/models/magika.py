"""Builds the magika example: Google's file type classifier and labelled files of this machine.

    python -m examples.models.magika          # prints the folder; builds it only when it is not in the cache

The model comes from the `magika` wheel (Apache-2.0) as it is: input `bytes` int32 [n, 2048], output `target_label`
float32 [n, 214]. The data are files of this Debian-like system, labelled by their extension, so the splits differ from
machine to machine; they are fixed by the files' digests. The folder holds `model.onnx`, `data/<split>/data.npz`,
`facts.json`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from examples.models import cache, splits

ROOTS = (
    "/etc",
    "/usr/include",
    "/usr/lib",
    "/usr/local/lib",
    "/usr/share",
    "/root/go/pkg/mod",
    "/usr/local/go",
)
MAX_VISITED = 250_000
MIN_PER_CLASS, MAX_PER_CLASS = 12, 60
BLOCK, PART, PADDING = 4096, 1024, 256  # bytes read at each end, features kept of each end, filler
LABELS = {
    "asm": "asm", "bz2": "bzip", "bat": "batch", "c": "c", "cmake": "cmake", "cpp": "cpp", "cc": "cpp", "crt": "crt",
    "css": "css", "csv": "csv", "deb": "deb", "diff": "diff", "patch": "diff", "gif": "gif", "go": "go", "gz": "gzip",
    "hcl": "hcl", "html": "html", "ico": "ico", "ini": "ini", "jar": "jar", "java": "java", "jpg": "jpeg", "js": "javascript",
    "json": "json", "lua": "lua", "m4": "m4", "md": "markdown", "mp3": "mp3", "npy": "npy", "npz": "npz", "pdf": "pdf",
    "pem": "pem", "php": "php", "pl": "perl", "pm": "perl", "png": "png", "po": "po", "proto": "proto", "ps1": "powershell",
    "py": "python", "pyc": "pythonbytecode", "r": "r", "rb": "ruby", "rs": "rust", "rst": "rst", "scss": "scss", "sh": "shell",
    "so": "elf", "sql": "sql", "svg": "svg", "swift": "swift", "tcl": "tcl", "toml": "toml", "ts": "typescript",
    "ttf": "ttf", "txt": "txt", "vue": "vue", "wav": "wav", "xml": "xml", "xz": "xz", "yaml": "yaml", "yml": "yaml", "zip": "zip",
}  # fmt: skip
MODULES = ("cache.py", "magika.py", "splits.py")
PACKAGES = ("magika", "numpy")


@dataclass(frozen=True)
class Sample:
    """A file: digest of its bytes, class by extension, features int32 [2048]."""

    digest: str
    label: str
    features: npt.NDArray[np.int32]


def build() -> Path:
    """The folder of the built magika example."""
    return cache.built_once("magika", cache.source_key(MODULES, PACKAGES), _build)


def folder() -> Path:
    """Where the examples of these very sources lie, built or not."""
    return cache.folder("magika", cache.source_key(MODULES, PACKAGES))


def features(content: bytes) -> npt.NDArray[np.int32]:
    """What magika feeds its model: 1,024 bytes after leading white space, 1,024 before trailing; 256 fills the gaps."""
    out = np.full(2 * PART, PADDING, np.int32)
    begin = np.frombuffer(content[:BLOCK].lstrip()[:PART], np.uint8)
    end = np.frombuffer(content[-BLOCK:].rstrip()[-PART:], np.uint8)
    out[: len(begin)] = begin
    out[2 * PART - len(end) :] = end
    return out


def candidates(roots: Iterable[str]) -> Iterator[Path]:
    """Plain files with a known extension, in a fixed order, at most MAX_VISITED looked at."""
    visited = 0
    for root in roots:
        for folder, folders, names in os.walk(root):
            folders.sort()
            for name in sorted(names):
                visited += 1
                if visited > MAX_VISITED:
                    return
                path = Path(folder, name)
                if path.suffix[1:] in LABELS and not path.is_symlink():
                    yield path


def collect(paths: Iterable[Path]) -> list[Sample]:
    """Samples without doubles, at most MAX_PER_CLASS per class, classes of at least MIN_PER_CLASS."""
    by_class: dict[str, dict[str, Sample]] = {}
    for path in paths:
        label = LABELS[path.suffix[1:]]
        found = by_class.setdefault(label, {})
        # Folder by folder the first files resemble each other: twice as many are read as are kept.
        if len(found) >= 4 * MAX_PER_CLASS:
            continue
        try:
            content = path.read_bytes() if path.stat().st_size <= 4 << 20 else b""
        except OSError:
            continue
        if len(content) < 16:
            continue
        digest = splits.item_digest(content)
        found[digest] = Sample(digest, label, features(content))
    kept = [sorted(found.values(), key=lambda s: s.digest)[:MAX_PER_CLASS] for found in by_class.values()]
    return [sample for group in kept if len(group) >= MIN_PER_CLASS for sample in group]


def _build(folder: Path) -> None:
    source = files("magika") / "models" / "standard_v3_3"
    space = json.loads((source / "config.min.json").read_text())["target_labels_space"]
    shutil.copyfile(str(source / "model.onnx"), folder / "model.onnx")
    samples = [s for s in collect(candidates(ROOTS)) if s.label in space]
    _check_features()
    labels = np.array([space.index(s.label) for s in samples], np.int64)
    ids = [s.digest for s in samples]
    inputs = np.stack([s.features for s in samples])
    rows = _partition(ids, labels)
    splits.check_disjoint({name: [ids[i] for i in chosen] for name, chosen in rows.items()})
    for name, chosen in rows.items():
        splits.write_split(
            folder / "data" / name, labels[chosen], [ids[i] for i in chosen], {"bytes": inputs[chosen]}
        )
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    facts: dict[str, object] = {
        "classes": len(np.unique(labels)),
        "items": {k: len(v) for k, v in rows.items()},
    }
    for name, chosen in rows.items():
        parts = [
            session.run(None, {"bytes": inputs[chosen[i : i + 64]]})[0] for i in range(0, len(chosen), 64)
        ]
        right = np.concatenate(parts).argmax(1) == labels[chosen]
        facts[f"accuracy on {name}"] = round(float(right.mean()), 4)
    (folder / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts, indent=2))


def _partition(ids: list[str], labels: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.int64]]:
    """Per class: a sixth for calibration, the rest in halves for selection and certification."""
    chosen: dict[str, list[int]] = {"calibration": [], "selection": [], "certification": []}
    for label in np.unique(labels):
        of_class = sorted(np.flatnonzero(labels == label).tolist(), key=lambda i: ids[i])
        sixth = len(of_class) // 6
        rest = of_class[sixth:]
        chosen["calibration"] += of_class[:sixth]
        chosen["selection"] += rest[: len(rest) // 2]
        chosen["certification"] += rest[len(rest) // 2 :]
    return {name: np.array(sorted(rows, key=lambda i: ids[i]), np.int64) for name, rows in chosen.items()}


def _check_features() -> None:
    """Raises RuntimeError when our features are not what the magika package itself computes on its own files."""
    from magika import Magika
    from magika.types import Seekable

    theirs = Magika()
    folder = Path(str(files("magika")))
    for path in sorted(folder.glob("*.py"))[:5]:
        with path.open("rb") as stream:
            found = theirs._extract_features_from_seekable(
                Seekable(stream), PART, 0, PART, PADDING, BLOCK, use_inputs_at_offsets=False
            )
        if [*found.beg, *found.end] != features(path.read_bytes()).tolist():
            raise RuntimeError(f"the features of {path.name} differ from what the magika package computes")


if __name__ == "__main__":
    print(build())
