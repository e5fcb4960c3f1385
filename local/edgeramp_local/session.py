"""A shell for the cluster: kubectl, helm and edgeramp of this checkout on the PATH, and the kubeconfig."""

from __future__ import annotations

import shlex
from pathlib import Path

from . import tools, venv
from .config import REPO, kubeconfig, state_dir

IMPORTABLE = (REPO / "operator", REPO / "images" / "harness")


def exports() -> str:
    """Write small commands under the cluster's state, and say what a shell has to export to use them."""
    folder = state_dir() / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    python = venv.home() / "bin" / "python"
    path = ":".join(map(str, IMPORTABLE))
    edgeramp = f"PYTHONPATH={shlex.quote(path)} exec {shlex.quote(str(python))} -m edgeramp.cli.main"
    calls = {name: f"exec {shlex.quote(str(tools.binary(name)))}" for name in ("kubectl", "helm")}
    for name, call in (calls | {"edgeramp": edgeramp, "kubectl-edgeramp": edgeramp}).items():
        _write(folder / name, f'#!/bin/sh\n{call} "$@"\n')
    return f"export PATH={shlex.quote(str(folder))}:$PATH KUBECONFIG={shlex.quote(str(kubeconfig()))}"


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)
