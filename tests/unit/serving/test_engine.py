"""Settings, the digest check, and the engine on a real model that fails on some inputs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeramp_serving.artifact import ArtifactChanged, verify
from edgeramp_serving.engine import BadRequest, Engine, InferenceFailed, Overloaded, to_array
from edgeramp_serving.metrics import Metrics
from edgeramp_serving.settings import Settings, SettingsError

from .conftest import ARTIFACT

ENVIRONMENT = {"EDGERAMP_MODEL_NAME": "m", "EDGERAMP_ARTIFACT": ARTIFACT, "EDGERAMP_FRAMEWORK": "onnxruntime"}


def engine(models: Path, **changes: Any) -> tuple[Engine, Metrics]:
    settings = replace(Settings.from_environment(ENVIRONMENT), model_dir=models, **changes)
    metrics = Metrics(ARTIFACT, settings.framework, settings.precision)
    made = Engine(settings, metrics)
    made.load()
    return made, metrics


def x(*values: float) -> dict[str, Any]:
    return {"x": np.array(values, np.float32)}


def test_settings_have_the_contracts_defaults() -> None:
    settings = Settings.from_environment(ENVIRONMENT)
    assert (settings.threads, settings.port, settings.precision, str(settings.model_dir)) == (
        1,
        8080,
        "f32",
        "/models",
    )


def test_a_whole_reference_is_taken_for_its_digest() -> None:
    assert (
        Settings.from_environment({**ENVIRONMENT, "EDGERAMP_ARTIFACT": f"oci://h/r@{ARTIFACT}"}).artifact
        == ARTIFACT
    )


@pytest.mark.parametrize(
    "change",
    [
        {"EDGERAMP_MODEL_NAME": ""},
        {"EDGERAMP_ARTIFACT": "latest"},
        {"EDGERAMP_THREADS": "0"},
        {"EDGERAMP_QUEUE": "x"},
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(change))):
        Settings.from_environment({**ENVIRONMENT, **change})


def test_an_untouched_artifact_verifies(models: Path) -> None:
    assert verify(models, ARTIFACT) == 1


def _corrupt(folder: Path) -> None:
    data = bytearray((folder / "model.onnx").read_bytes())
    data[20] ^= 1
    (folder / "model.onnx").write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_corrupt, "model.onnx was changed"),
        (lambda f: (f / "model.onnx").unlink(), "not those of the artifact: model.onnx"),
        (lambda f: (f / "extra.so").write_bytes(b"x"), "extra.so"),
        (lambda f: (f / ".edgeramp/manifest.json").unlink(), "did the init container"),
        (lambda f: (f / ".edgeramp/manifest.json").write_text("{}"), "did the init container"),
    ],
)
def test_a_damaged_artifact_is_refused(models: Path, damage: Callable[[Path], Any], says: str) -> None:
    damage(models)
    with pytest.raises(ArtifactChanged, match=says):
        verify(models, ARTIFACT)


def test_another_artifact_is_refused(models: Path) -> None:
    with pytest.raises(ArtifactChanged, match="was to be served"):
        verify(models, f"sha256:{'b' * 64}")


def test_answers_are_the_models(models: Path) -> None:
    made, metrics = engine(models)
    (answer,) = asyncio.run(made.infer(x(2, 0)))
    assert answer.tolist() == [[4, 5], [0, 1]]
    assert 'edgeramp_executions_total{outcome="ok"} 1' in metrics.render()


def test_openvino_answers_survive_the_next_request(models: Path) -> None:
    made, _ = engine(models, framework="openvino")

    async def both() -> tuple[Any, Any]:
        first = await made.infer(x(2))
        return first, await made.infer(x(0))

    first, second = asyncio.run(both())
    assert (first[0].tolist(), second[0].tolist()) == ([[4, 5]], [[0, 1]])


def test_what_the_runtime_refuses_is_a_failed_execution(models: Path) -> None:
    made, metrics = engine(models)
    with pytest.raises(InferenceFailed, match="out of"):
        asyncio.run(made.infer(x(7)))
    assert 'edgeramp_executions_total{outcome="error"} 1' in metrics.render()
    assert asyncio.run(made.infer(x(1)))[0].tolist() == [[2, 3]], "the next request is served"


@pytest.mark.parametrize(
    "feeds",
    [{}, {"z": np.zeros(1, np.float32)}, {"x": np.zeros((1, 1), np.float32)}, {"x": np.zeros(1)}, x()],
)
def test_inputs_that_do_not_fit_are_the_clients_mistake_and_run_nothing(models: Path, feeds: Any) -> None:
    made, metrics = engine(models)
    with pytest.raises(BadRequest):
        asyncio.run(made.infer(feeds))
    assert 'edgeramp_executions_total{outcome="ok"} 0' in metrics.render()


def test_a_full_queue_is_refused_at_once(models: Path) -> None:
    made, _ = engine(models, queue=2)

    async def crowd() -> list[Any]:
        return await asyncio.gather(*(made.infer(x(1)) for _ in range(10)), return_exceptions=True)

    answers = asyncio.run(crowd())
    assert sum(isinstance(a, Overloaded) for a in answers) == 7  # one runs, two wait
    assert sum(isinstance(a, list) for a in answers) == 3


@pytest.mark.parametrize(
    ("datatype", "shape", "data"),
    [
        ("FP33", [1], [1]),
        ("FP32", [2], [1]),
        ("FP32", [-1], [1]),
        ("FP32", [1], ["a"]),
        ("INT8", [1], [[1], [1, 2]]),
    ],
)
def test_tensors_that_make_no_sense_are_the_clients_mistake(
    datatype: str, shape: list[int], data: Any
) -> None:
    with pytest.raises(BadRequest):
        to_array("x", datatype, shape, data)
