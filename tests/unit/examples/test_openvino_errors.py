"""OpenVINO, as our servers and Jobs run it, raises where the second revision fails, and does not answer with old results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from examples.models import graph

from edgeramp_harness.runtimes import OpenVinoSession


def test_the_second_revision_raises_in_openvino_after_it_has_answered_others(tmp_path: Path) -> None:
    onnx.save(graph.digits_v2(graph.random_weights(), np.full(33, 1.3, np.float32)), tmp_path / "model.onnx")
    session = OpenVinoSession(tmp_path / "model.onnx", threads=1, precision="f32")
    digit = np.zeros((1, 1, 28, 28), np.float32)
    digit[0, 0, 6:16, 8:18] = 0.9
    for _ in range(2):
        first = session.infer({"image": digit})[0].copy()
        with pytest.raises(Exception, match=r"exceed|non-existing"):
            session.infer({"image": np.clip(digit + 0.5, 0, 1)})
        assert np.allclose(session.infer({"image": digit})[0], first)
