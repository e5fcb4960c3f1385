"""Where built examples live: outside the checkout, under a key of everything that shapes them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
DONE = ".complete"


def cache_root() -> Path:
    """`$EDGERAMP_CACHE`, or edgeramp under the XDG cache folder."""
    if explicit := os.environ.get("EDGERAMP_CACHE"):
        return Path(explicit)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "edgeramp"


def source_key(modules: Sequence[str], packages: Sequence[str]) -> str:
    """12 hex digits over the named files of this folder and the installed versions of the named packages."""
    digest = hashlib.sha256()
    for name in sorted(modules):
        digest.update(name.encode() + b"\0" + (HERE / name).read_bytes())
    for name in sorted(packages):
        digest.update(f"{name}=={version(name)}\n".encode())
    return digest.hexdigest()[:12]


def folder(name: str, key: str) -> Path:
    """Where a set of these sources lies once it is built."""
    return cache_root() / "examples" / f"{name}-{key}"


def built_once(name: str, key: str, build: Callable[[Path], None]) -> Path:
    """The folder `examples/<name>-<key>` in the cache; `build` fills a scratch folder that is renamed into place.

    A folder without its completion mark is what a killed build left: it is replaced. A second process waits for the first.
    """
    final = folder(name, key)
    final.parent.mkdir(parents=True, exist_ok=True)
    with (final.parent / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (final / DONE).exists():
            _build_into(final, name, build)
    return final


def _build_into(final: Path, name: str, build: Callable[[Path], None]) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=final.parent))
    try:
        build(scratch)
        (scratch / DONE).touch()
        shutil.rmtree(final, ignore_errors=True)
        scratch.rename(final)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
