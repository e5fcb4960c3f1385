"""The bare tool: what a person gets from onnxruntime's own quantizer and a timing loop, in one process, one thread."""

from __future__ import annotations

import logging
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

ROUNDS, BLOCK_SECONDS, CALIBRATION_ITEMS = 60, 0.05, 300


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, images: np.ndarray[Any, Any]) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
        image = next(self._images, None)
        return None if image is None else {"image": image[None]}


def speedup(folder: Path) -> dict[str, Any]:
    """FP32 over static INT8 of digits-v1 in ONNX Runtime: ratio of the medians of interleaved blocks."""
    logging.getLogger().setLevel(logging.ERROR)
    with np.load(folder / "data" / "calibration" / "data.npz", allow_pickle=False) as data:
        images = data["x.image"][:CALIBRATION_ITEMS]
    source = folder / "digits-v1" / "model.onnx"
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "int8.onnx"
        quantize_static(
            source, target, _Reader(images), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        runners = {"f32": _runner(source, images), "int8": _runner(target, images)}
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        medians = _blocks(runners)
    ratios = [f / i for f, i in zip(medians["f32"], medians["int8"], strict=True)]
    return {
        "tool": f"onnxruntime {onnxruntime.__version__}, quantize_static QDQ",
        "f32Ms": round(1000 * statistics.median(medians["f32"]), 4),
        "int8Ms": round(1000 * statistics.median(medians["int8"]), 4),
        "speedup": round(statistics.median(medians["f32"]) / statistics.median(medians["int8"]), 3),
        "speedupOfBlocks": [round(r, 3) for r in (min(ratios), statistics.median(ratios), max(ratios))],
        "rounds": ROUNDS,
    }


def _runner(model: Path, images: np.ndarray[Any, Any]) -> Callable[[], object]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    feed = {"image": images[:1]}
    return lambda: session.run(None, feed)


def _blocks(runners: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """The median seconds of one inference in each block; the order within a round is random."""
    counts = {}
    for name, run in runners.items():
        for _ in range(200):
            run()
        start = time.perf_counter()
        for _ in range(50):
            run()
        counts[name] = max(5, int(BLOCK_SECONDS / ((time.perf_counter() - start) / 50)))
    rng = random.Random(0)
    medians: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(ROUNDS):
        for name in rng.sample(sorted(runners), len(runners)):
            times = []
            for _ in range(counts[name]):
                start = time.perf_counter()
                runners[name]()
                times.append(time.perf_counter() - start)
            medians[name].append(statistics.median(times))
    return medians


if __name__ == "__main__":
    import json
    import sys

    print(json.dumps(speedup(Path(sys.argv[1])), indent=2))
