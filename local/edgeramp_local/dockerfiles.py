"""Reading Dockerfiles for their inputs: an image's tag is the hash of everything that it is made from."""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

IGNORED = ("__pycache__", "*.pyc", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "*.egg-info")


@dataclass(frozen=True)
class Copy:
    """A COPY or ADD: what is copied, and from which stage or named context (empty: the repository)."""

    sources: tuple[str, ...]
    origin: str = ""


def instructions(text: str) -> list[str]:
    """The Dockerfile's instructions, comments dropped and continuation lines joined."""
    lines, current = [], ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("#") or (not line and not current):
            continue
        if line.endswith("\\"):
            current += line[:-1] + " "
            continue
        lines.append((current + line).strip())
        current = ""
    return [*lines, current.strip()] if current.strip() else lines


def copies(text: str) -> list[Copy]:
    """Every COPY and ADD of a Dockerfile, in order."""
    found = []
    for line in instructions(text):
        word, _, rest = line.partition(" ")
        if word.upper() not in ("COPY", "ADD"):
            continue
        words = rest.split()
        flags = [item for item in words if item.startswith("--")]
        paths = (
            json.loads(" ".join(words[len(flags) :]))
            if words[len(flags)].startswith("[")
            else words[len(flags) :]
        )
        origin = next((flag.partition("=")[2] for flag in flags if flag.startswith("--from=")), "")
        found.append(Copy(tuple(paths[:-1]), origin))
    return found


def uses_base(text: str) -> bool:
    """Whether the Dockerfile builds on BASE_IMAGE."""
    return any(line.upper().startswith("ARG BASE_IMAGE") for line in instructions(text))


def tool_names(text: str) -> list[str]:
    """The binaries that the image takes from the named context `tools`."""
    return [name for copy in copies(text) if copy.origin == "tools" for name in copy.sources]


def ignored(path: Path) -> bool:
    """Whether a file never goes into an image (the same patterns stand in .dockerignore)."""
    return any(fnmatch.fnmatch(part, pattern) for part in path.parts for pattern in IGNORED)


def input_files(repo: Path, text: str) -> list[Path]:
    """The files of the repository that the Dockerfile copies, sorted; raises FileNotFoundError for one that is not there."""
    found: set[Path] = set()
    for source in (name for copy in copies(text) if not copy.origin for name in copy.sources):
        matches = [repo] if source in (".", "./") else sorted(repo.glob(source.strip("/")))
        if not matches:
            raise FileNotFoundError(f"the Dockerfile copies {source}, which is not in {repo}")
        for match in matches:
            files = [match] if match.is_file() else [path for path in match.rglob("*") if path.is_file()]
            found.update(path for path in files if not ignored(path.relative_to(repo)))
    return sorted(found)


def tag(repo: Path, text: str, base_key: str, fingerprint: Callable[[str], str]) -> str:
    """16 hex digits over the Dockerfile, its base, the files and the binaries that it copies."""
    parts: list[bytes] = [text.encode(), (base_key if uses_base(text) else "").encode()]
    parts += [fingerprint(name).encode() for name in tool_names(text)]
    for path in input_files(repo, text):
        mode = b"x" if path.stat().st_mode & 0o111 else b"-"
        parts += [path.relative_to(repo).as_posix().encode(), mode, path.read_bytes()]
    return _digest(parts)


def _digest(parts: Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()[:16]
