"""Pushes the example models and their data splits to the store.

    python -m examples.publish --store HOST:PORT [--only digits]    # reads the folders that examples.models.* built

The store answers at its Service's name inside the cluster; from the host at the pod's address (demo.reach finds it).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from edgeramp_harness.store import Registry

PREFIX = "examples"
SPLITS = ("calibration", "selection", "certification")


@dataclass(frozen=True)
class Item:
    """One artifact to push: its repository and tag, and the one file in it under the name the Jobs expect."""

    repository: str
    tag: str
    title: str
    path: Path

    @property
    def name(self) -> str:
        return f"{self.repository}:{self.tag}"


def digits(folder: Path) -> Iterator[Item]:
    """The three revisions of the classifier, one that is cut off in the middle, and the three splits."""
    for tag in ("v1", "v2", "slow"):
        yield Item(f"{PREFIX}/digits", tag, "model.onnx", folder / f"digits-{tag}" / "model.onnx")
    yield Item(f"{PREFIX}/digits", "corrupt", "model.onnx", _cut_off(folder / "digits-v1" / "model.onnx"))
    yield from _splits("digits", folder)


def magika(folder: Path) -> Iterator[Item]:
    """The file type classifier and its splits."""
    yield Item(f"{PREFIX}/magika", "v1", "model.onnx", folder / "model.onnx")
    yield from _splits("magika", folder)


SETS = {"digits": digits, "magika": magika}


def publish(store: str, name: str, folder: Path) -> dict[str, str]:
    """Push one set; `repository:tag` to manifest digest. What the store has already is not sent again."""
    pushed = {}
    for item in SETS[name](folder):
        artifact = Registry(store, item.repository, plain_http=True).push(
            {item.title: item.path}, tag=item.tag
        )
        pushed[item.name] = artifact.digest
    return pushed


def built(name: str) -> Path:
    """The build of a set by the sources of this checkout. Raises FileNotFoundError saying how to make it."""
    from examples.models.cache import DONE

    found: Path = import_module(f"examples.models.{name}").folder()
    if not (found / DONE).exists():
        raise FileNotFoundError(f"the {name} examples are not built: python -m examples.models.{name}")
    return found


def _splits(name: str, folder: Path) -> Iterator[Item]:
    for split in SPLITS:
        yield Item(f"{PREFIX}/{name}-{split}", "v1", "data.npz", folder / "data" / split / "data.npz")


def _cut_off(model: Path) -> Path:
    """Two thirds of a model file, beside its folder in the cache."""
    path = model.parent.parent / "digits-corrupt.onnx"
    data = model.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="examples.publish", description="Push the examples to the store.")
    parser.add_argument("--store", required=True, help="HOST:PORT of the store, plain HTTP")
    parser.add_argument("--only", action="append", choices=sorted(SETS), help="default: all that are built")
    options = parser.parse_args(argv)
    pushed: dict[str, str] = {}
    for name in options.only or sorted(SETS):
        try:
            folder = built(name)
        except FileNotFoundError as error:
            if options.only:
                parser.error(str(error))
            print(f"skipped: {error}", file=sys.stderr)
            continue
        pushed |= publish(options.store, name, folder)
    print(json.dumps(pushed, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
