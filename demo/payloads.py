"""Requests in the V2 inference protocol, encoded once: the generator then only moves bytes."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Request:
    """One image as a request body, what it shows, and whether it is one of the brightened ones."""

    body: bytes
    label: int
    bright: bool


@dataclass(frozen=True)
class Payloads:
    """Normal and brightened images; `draw` mixes them with the share asked for."""

    normal: tuple[Request, ...]
    bright: tuple[Request, ...]

    def draw(self, rng: random.Random, bright_share: float) -> Request:
        return rng.choice(self.bright if rng.random() < bright_share else self.normal)


def encode(pixels: npt.NDArray[np.uint8]) -> bytes:
    """One image, uint8 [784], as V2 JSON with FP32 data [1, 1, 28, 28] in [0, 1]."""
    data = [round(int(value) / 255, 4) for value in pixels]
    tensor = {"name": "image", "shape": [1, 1, 28, 28], "datatype": "FP32", "data": data}
    return json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()


def load(path: Path) -> Payloads:
    """The images of `requests.npz` as examples.models.digits writes it."""
    with np.load(path, allow_pickle=False) as arrays:
        labels = arrays["labels"]

        def requests(kind: str) -> tuple[Request, ...]:
            pairs = zip(arrays[kind], labels, strict=True)
            return tuple(Request(encode(pixels), int(label), kind == "bright") for pixels, label in pairs)

        return Payloads(requests("normal"), requests("bright"))


def answered_class(body: bytes) -> int | None:
    """The class with the largest logit in a V2 answer; None where the answer has none (or one that is not finite)."""
    try:
        data = json.loads(body)["outputs"][0]["data"]
        best = max(range(len(data)), key=data.__getitem__)
        return best if all(value is not None and value == value for value in data) else None
    except (ValueError, LookupError, TypeError):
        return None
