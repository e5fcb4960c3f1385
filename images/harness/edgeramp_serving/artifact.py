"""Checking the files a server is about to load against what the init container verified."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

RECORD = Path(".edgeramp/manifest.json")


class ArtifactChanged(Exception):
    """The files are not those of the artifact; the message says which and how."""


def verify(folder: Path, artifact: str) -> int:
    """Number of files checked. Raises ArtifactChanged on a missing, changed or foreign file, or another artifact."""
    try:
        record = json.loads((folder / RECORD).read_text())
        recorded = {str(f["path"]): (str(f["digest"]), int(f["size"])) for f in record["files"]}
        found = str(record["artifact"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactChanged(
            f"{folder / RECORD} cannot be read ({error}); did the init container fetch run?"
        ) from error
    if found != artifact:
        raise ArtifactChanged(f"{folder} holds the artifact {found}, but {artifact} was to be served")
    present = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} - {str(RECORD)}
    if present != set(recorded):
        odd = sorted(present ^ set(recorded))
        raise ArtifactChanged(f"the files in {folder} are not those of the artifact: {', '.join(odd[:5])}")
    for name, (digest, size) in sorted(recorded.items()):
        path = folder / name
        if path.stat().st_size != size or _sha256(path) != digest:
            raise ArtifactChanged(
                f"{name} was changed after it was fetched: it is {_sha256(path)}, not {digest}"
            )
    return len(recorded)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
