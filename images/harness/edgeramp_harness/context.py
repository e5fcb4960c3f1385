"""What a verb gets besides its spec."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeramp.report.spec import ArtifactRef, JobBase
from edgeramp_harness.log import human_bytes, say
from edgeramp_harness.store import Artifact, Registry

REPORT_TYPE = "application/vnd.edgeramp.report.v1"


@dataclass(frozen=True)
class Context:
    """`work` is writable and empty at the start; user volumes are mounted under `sources`."""

    work: Path
    sources: Path = Path("/sources")

    def folder(self, name: str) -> Path:
        """A folder under `work`, made if need be."""
        path = self.work / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def fetch(self, spec: JobBase, artifact: ArtifactRef, name: str) -> Path:
        """The files of an artifact of the store, verified, in `work/name`."""
        folder = self.folder(name)
        found = Registry.of(spec.store).pull(artifact.digest, folder)
        say(f"{name} fetched: {human_bytes(found.size_bytes)}, {artifact.digest[:19]}")
        return folder

    def push_report(self, spec: JobBase, report: dict[str, Any], extra: dict[str, Path] | None = None) -> str:
        """Store report.json (and files beside it); returns the manifest digest."""
        folder = self.folder("report")
        part, path = folder / "report.json.part", folder / "report.json"
        part.write_text(json.dumps(report, indent=1, sort_keys=True, allow_nan=False, default=str))
        part.rename(path)
        pushed = Registry.of(spec.store).push(
            {"report.json": path, **(extra or {})}, artifact_type=REPORT_TYPE
        )
        say(f"report stored: {pushed.digest}")
        return pushed.digest


def artifact_files(folder: Path) -> dict[str, Path]:
    """Files under `folder` by relative path."""
    return {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}


def describe(artifact: Artifact) -> list[dict[str, Any]]:
    """The file list of an artifact for a report."""
    return [{"path": f.title, "digest": f.digest, "sizeBytes": f.size} for f in artifact.layers]
