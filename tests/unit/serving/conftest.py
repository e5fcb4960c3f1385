"""A small model as the init container leaves it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

ARTIFACT = f"sha256:{'a' * 64}"


def gather_model() -> onnx.ModelProto:
    """table[int(x)]: a real model that fails on some inputs only (index out of range)."""
    nodes = [
        helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "i"], ["y"]),
    ]
    table = numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(3, 2), "table")
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])], [table],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """/models with model.onnx and the record of what was fetched."""
    return _fetched(tmp_path / "models", {"model.onnx": gather_model().SerializeToString()})


@pytest.fixture
def fetched(tmp_path: Path) -> Callable[[dict[str, bytes]], Path]:
    """Makes such a folder from files of the test's own."""
    return lambda files: _fetched(tmp_path / "own", files)


def _fetched(folder: Path, files: dict[str, bytes]) -> Path:
    record: list[dict[str, Any]] = []
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        record.append({"path": name, "digest": digest, "size": len(content)})
    (folder / ".edgeramp").mkdir()
    (folder / ".edgeramp/manifest.json").write_text(json.dumps({"artifact": ARTIFACT, "files": record}))
    return folder
