"""The whole server as a process, on kserve. Runs in a server image's environment; kserve is not in the dev one."""

from __future__ import annotations

import json
import os
import signal
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

import pytest

from .conftest import ARTIFACT

pytest.importorskip("kserve", reason="kserve is only in the server images' environment")

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


def tensor(*values: float, **changes: Any) -> dict[str, Any]:
    return {
        "inputs": [{"name": "x", "shape": [len(values)], "datatype": "FP32", "data": list(values), **changes}]
    }


def test_a_server_answers_counts_and_drains(models: Path) -> None:
    with started(models) as (server, url):
        ready(server, url)
        infer = f"{url}/v2/models/m/infer"
        status, answer = call(infer, tensor(2))
        assert (status, answer["outputs"][0]["data"]) == (200, [4.0, 5.0])
        assert call(infer, tensor(9))[0] == 500, "the model fails on this input"
        for bad in (
            b"{",
            tensor(1, name="z"),
            tensor(1, shape=[2]),
            tensor(1, datatype="INT64"),
            {"inputs": 1},
        ):
            assert call(infer, bad)[0] == 400, bad
        assert call(f"{url}/v2/models/other/infer", tensor(1))[0] == 404
        call(infer, tensor(1), {"x-edgeramp-mirror": "1"})
        text = call(f"{url}/metrics")[1]
        assert 'edgeramp_requests_total{outcome="ok",live="true"} 1' in text
        assert 'edgeramp_requests_total{outcome="server_error",live="true"} 1' in text
        assert 'edgeramp_requests_total{outcome="client_error",live="true"} 6' in text
        assert 'edgeramp_requests_total{outcome="ok",live="false"} 1' in text
        assert 'edgeramp_executions_total{outcome="error"} 1' in text
        assert call(f"{url}/v2/models/m")[1]["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1]}]
        server.send_signal(signal.SIGTERM)
        for _ in range(100):
            if call(f"{url}/v2/health/ready")[0] == 503:
                break
        assert call(infer, tensor(2))[0] == 200, "requests on their way are still answered"
        assert server.wait(20) == 0


def test_a_binary_tensor_is_read(models: Path) -> None:
    import struct

    with started(models) as (server, url):
        ready(server, url)
        raw = struct.pack("<2f", 0, 1)
        parameters = {"binary_data_size": len(raw)}
        head = json.dumps(
            {"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "parameters": parameters}]}
        ).encode()
        headers = {
            "content-type": "application/octet-stream",
            "inference-header-content-length": str(len(head)),
        }
        status, answer = call(f"{url}/v2/models/m/infer", head + raw, headers)
        assert (status, answer["outputs"][0]["data"]) == (200, [0.0, 1.0, 2.0, 3.0])


def test_a_changed_artifact_is_not_served(models: Path) -> None:
    (models / "model.onnx").write_bytes(b"other")
    with started(models) as (server, _):
        out, _ = server.communicate(timeout=30)
        assert server.returncode == 1
        assert "not serving: model.onnx was changed" in out


def test_a_file_that_is_no_model_is_not_served(fetched: Any) -> None:
    with started(fetched({"model.onnx": b"nonsense"})) as (server, _):
        out, _ = server.communicate(timeout=30)
        assert server.returncode == 1
        assert "not serving: ONNX Runtime cannot load model.onnx" in out
