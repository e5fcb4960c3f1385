"""A server as a process on a free port, and how to talk to it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .conftest import ARTIFACT

ROOT = Path(__file__).parents[3]


@contextmanager
def started(models: Path, **env: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "EDGERAMP_MODEL_NAME": "m", "EDGERAMP_ARTIFACT": ARTIFACT, "EDGERAMP_FRAMEWORK": "onnxruntime",
        "EDGERAMP_MODEL_DIR": str(models), "EDGERAMP_PORT": str(port), "EDGERAMP_DRAIN_SECONDS": "1",
        "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'images/harness'}",
    }  # fmt: skip
    server = subprocess.Popen(
        [sys.executable, "-m", "edgeramp_serving"], env={**os.environ, **settings, **env}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    yield server, f"http://127.0.0.1:{port}"
    server.kill()
    server.wait()


def call(url: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] == b"{" else text.decode()
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def ready(server: subprocess.Popen[str], url: str) -> None:
    for _ in range(600):
        try:
            if call(f"{url}/v2/health/ready")[0] == 200:
                return
        except OSError:
            assert server.poll() is None, server.stdout.read() if server.stdout else ""
        time.sleep(0.05)  # the process is starting
    raise AssertionError("never ready")
