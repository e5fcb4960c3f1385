"""Python environments of this project: one virtual environment per content of a lock in requirements/, outside the checkout."""

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

LOCKS = REPO / "requirements"


def home(name: str = "dev") -> Path:
    """Where the environment for the committed lock `name` and this Python lies."""
    key = hashlib.sha256((LOCKS / f"{name}.lock").read_bytes() + sys.version.encode()).hexdigest()[:12]
    return cache_dir() / f"venv-{key}"


def ensure(name: str = "dev") -> Path:
    """Make the environment if it is not there; returns its folder."""
    lock = LOCKS / f"{name}.lock"
    if sys.version_info < (3, 11):  # noqa: UP036 - said clearly on an old machine
        raise Missing(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
    with locked(cache_dir() / "venv.lock"):
        target = home(name)
        if (target / "complete").exists():
            return target
        with progress(f"making the environment {target} from {lock.name}"):
            shutil.rmtree(target, ignore_errors=True)
            uv, env, python = _uv(), index_settings(), target / "bin" / "python"
            run([uv, "venv", "--quiet", "--python", sys.executable, target], env=env)
            run([uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, lock], env=env)
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
