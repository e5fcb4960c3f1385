"""The whole server as a process, on kserve. Runs in a server image's environment; kserve is not in the dev one."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from .processes import call, ready, started

pytest.importorskip("kserve", reason="kserve is only in the server images' environment")


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
