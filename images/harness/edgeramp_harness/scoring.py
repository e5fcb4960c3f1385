"""From model outputs to one score per item."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeramp_harness.errors import bad_spec

Score = Callable[[Sequence[NDArray[Any]], NDArray[np.int64]], NDArray[np.float64]]


def _first_scores(outputs: Sequence[NDArray[Any]], count: int) -> NDArray[Any]:
    """The classifier's scores [count, classes], or its labels [count]."""
    for output in outputs:
        if output.ndim == 2 and output.shape[0] == count and output.shape[1] > 1 and output.dtype.kind == "f":
            return output
    for output in outputs:
        if output.size == count and output.dtype.kind in "iu":
            return output.reshape(count)
    shapes = ", ".join(str(o.shape) for o in outputs)
    raise bad_spec(
        f"accuracy needs an output [items, classes] or integer labels [items]; outputs are {shapes}"
    )


def answers(outputs: Sequence[NDArray[Any]], count: int) -> NDArray[np.int64]:
    """What a classifier says of each item: the class with the largest score."""
    scores = _first_scores(outputs, count)
    return np.asarray(scores.argmax(axis=1) if scores.ndim == 2 else scores, np.int64)


def answers_file(scores: Path) -> Path:
    """Where the answers lie that belong to a file of scores."""
    return scores.with_suffix(".answers.npy")


def accuracy(outputs: Sequence[NDArray[Any]], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 where the answer is the label."""
    return np.asarray(answers(outputs, len(labels)) == labels, np.float64)


def top5(outputs: Sequence[NDArray[Any]], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 where the label is among the five largest scores."""
    scores = _first_scores(outputs, len(labels))
    if scores.ndim != 2:
        raise bad_spec("top5-accuracy needs scores, the model returns labels")
    best = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    return np.asarray((best == labels[:, None]).any(axis=1), np.float64)


METRICS: dict[str, Score] = {"accuracy": accuracy, "top5-accuracy": top5}


def metric(name: str) -> Score:
    """Exit 10 for a metric we do not have."""
    if name not in METRICS:
        raise bad_spec(f"unknown metric {name!r}; choose one of {', '.join(METRICS)}", "UnknownMetric")
    return METRICS[name]


def all_finite(outputs: Sequence[NDArray[Any]]) -> bool:
    """False when any floating-point output has a NaN or infinity."""
    return all(o.dtype.kind != "f" or bool(np.isfinite(o).all()) for o in outputs)
