"""The development environment: one virtual environment per content of requirements/dev.lock, outside the checkout."""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from . import prereqs
from .config import REPO, cache_dir
from .shell import Missing, locked, progress, run

LOCK = REPO / "requirements" / "dev.lock"


def home() -> Path:
    """Where the environment for the committed lock and this Python lies."""
    key = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:12]
    return cache_dir() / f"venv-{key}"


def ensure() -> Path:
    """Make the environment if it is not there; returns its folder."""
    if sys.version_info < (3, 11):  # noqa: UP036 - said clearly on an old machine
        raise Missing(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
    with locked(cache_dir() / "venv.lock"):
        target = home()
        if (target / "complete").exists():
            return target
        with progress(f"making the development environment {target} from {LOCK.name}"):
            shutil.rmtree(target, ignore_errors=True)
            uv, env, python = _uv(), index_settings(), target / "bin" / "python"
            run([uv, "venv", "--quiet", "--python", sys.executable, target], env=env)
            run([uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, LOCK], env=env)
        (target / "complete").touch()
    return target


def _uv() -> Path:
    """uv from the PATH, or installed into a small environment of its own."""
    found = shutil.which("uv")
    if found:
        return Path(found)
    folder = cache_dir() / "uv"
    if not (folder / "bin" / "uv").exists():
        if subprocess.run(
            [sys.executable, "-c", "import ensurepip"], capture_output=True, check=False
        ).returncode:
            prereqs.ensure_packages({"ensurepip-of-this-python": "python3-venv"})
        run([sys.executable, "-m", "venv", "--clear", folder])
        run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "uv"])
    return folder / "bin" / "uv"


def index_settings() -> dict[str, str]:
    """pip's index settings of this machine in uv's words, for those that uv was not told itself."""
    names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "cert": "SSL_CERT_FILE"}
    found = {}
    for line in prereqs.pip_config():
        name, _, value = line.partition("=")
        variable = names.get(name.rpartition(".")[2])
        if variable and variable not in os.environ:
            found[variable] = str(ast.literal_eval(value))
    return found
