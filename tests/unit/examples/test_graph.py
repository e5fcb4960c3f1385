"""The bad revisions are real models: good on the data they are judged on, bad on what production adds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from examples.models import graph
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

Images = npt.NDArray[np.float32]
Quantizer = Callable[[Path, Path], None]
BINS = 33  # what real digits give: at most 241 ink, in steps of 8, and two spare


def strokes(count: int, seed: int = 3) -> Images:
    """Images [count, 1, 28, 28] with as much ink as handwritten digits: a bright bar on black."""
    rng = np.random.default_rng(seed)
    images = np.zeros((count, 1, 28, 28), np.float32)
    for image in images:
        row, column = rng.integers(2, 18, 2)
        image[0, row : row + 4, column : column + 8] = rng.uniform(0.6, 1.0)
    return images


def lit(images: Images) -> Images:
    return np.clip(images + np.float32(0.5), 0, 1)


class Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        self._images = iter(strokes(16, seed=5))

    def get_next(self) -> dict[str, Images] | None:
        image = next(self._images, None)
        return None if image is None else {"image": image[None]}


def keep(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


def dynamic(source: Path, target: Path) -> None:
    quantize_dynamic(source, target, weight_type=QuantType.QInt8)


def static(source: Path, target: Path) -> None:
    quantize_static(
        source, target, Calibration(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


PRECISIONS = pytest.mark.parametrize(
    "quantize", [keep, dynamic, static], ids=["f32", "dynamic-int8", "static-int8"]
)


def session(model: onnx.ModelProto, quantize: Quantizer, folder: Path) -> onnxruntime.InferenceSession:
    source, target = folder / "source.onnx", folder / "target.onnx"
    onnx.save(model, source)
    quantize(source, target)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(target), options, providers=["CPUExecutionProvider"])


def answers(runner: onnxruntime.InferenceSession, images: Images) -> npt.NDArray[np.float32]:
    return np.concatenate([runner.run(None, {"image": image[None]})[0] for image in images])


@pytest.fixture(scope="module")
def weights() -> graph.Weights:
    return graph.random_weights()


def test_the_classifier_has_the_size_the_examples_promise(weights: graph.Weights) -> None:
    assert weights.parameters == 284_810


@PRECISIONS
def test_the_first_revision_answers_brightened_images(
    weights: graph.Weights, quantize: Quantizer, tmp_path: Path
) -> None:
    runner = session(graph.digits_v1(weights), quantize, tmp_path)
    logits = answers(runner, lit(strokes(8)))
    assert logits.shape == (8, 10)
    assert np.isfinite(logits).all()


@PRECISIONS
def test_the_second_revision_answers_digits_and_raises_on_every_brightened_image(
    weights: graph.Weights, quantize: Quantizer, tmp_path: Path
) -> None:
    runner = session(graph.digits_v2(weights, np.full(BINS, 1.3, np.float32)), quantize, tmp_path)
    assert np.isfinite(answers(runner, strokes(8))).all()
    for image in lit(strokes(8)):
        with pytest.raises(Exception, match=r"[Oo]ut of"):
            runner.run(None, {"image": image[None]})


def test_the_second_revision_ranks_the_classes_as_the_first_does(
    weights: graph.Weights, tmp_path: Path
) -> None:
    table = np.linspace(0.8, 1.6, BINS).astype(np.float32)
    first = answers(session(graph.digits_v1(weights), keep, tmp_path), strokes(20))
    second = answers(session(graph.digits_v2(weights, table), keep, tmp_path), strokes(20))
    assert (first.argmax(1) == second.argmax(1)).all()


def test_the_second_revision_answers_a_batch_by_each_images_own_exposure(
    weights: graph.Weights, tmp_path: Path
) -> None:
    table = np.linspace(0.8, 1.6, BINS).astype(np.float32)
    runner = session(graph.digits_v2(weights, table), keep, tmp_path)
    images = strokes(6)
    assert np.allclose(runner.run(None, {"image": images})[0], answers(runner, images), atol=1e-4)


@pytest.mark.parametrize("quantize", [keep, static], ids=["f32", "static-int8"])
def test_the_slow_revision_equals_the_first_on_digits_and_takes_its_time_on_bright_ones(
    weights: graph.Weights, quantize: Quantizer, tmp_path: Path
) -> None:
    first = session(graph.digits_v1(weights), keep, tmp_path)
    (tmp_path / "slow").mkdir()
    slow = session(graph.digits_slow(weights), quantize, tmp_path / "slow")
    images = strokes(20)
    if quantize is keep:
        assert np.allclose(answers(first, images), answers(slow, images), atol=1e-4)

    def least_seconds(batch: Images) -> float:
        times = []
        for image in batch:
            start = time.perf_counter()
            slow.run(None, {"image": image[None]})
            times.append(time.perf_counter() - start)
        return min(times)

    assert least_seconds(lit(images)) > 4 * least_seconds(images)
