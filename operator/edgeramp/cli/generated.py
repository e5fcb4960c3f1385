"""Files that a command generates from the code: written where they differ, or only told as stale."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path


def stale(files: Iterable[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """Those of the files that are not there with this text."""
    return [
        (path, text) for path, text in files if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def settle(files: Iterable[tuple[Path, str]], check: bool, command: str) -> int:
    """Write what is stale; with `check` name it, and the command that writes it. Returns the exit status."""
    found = stale(files)
    for path, text in found:
        if check:
            print(f"{path} is stale; run `{command}`", file=sys.stderr)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 1 if check and found else 0
