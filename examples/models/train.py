"""Trains the digit classifier with MLX on the CPU. The only module that imports mlx."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from examples.models.graph import Array, Weights

# mlx's wheel binds the reference BLAS: 5 GFLOP/s on one core, where OpenBLAS (Debian: libopenblas0-pthread) has 200.
# Symbols of a library loaded globally beforehand win, so this line is worth a factor of thirty. Without it, patience.
OPENBLAS = ctypes.util.find_library("openblas")
if OPENBLAS:
    ctypes.CDLL(OPENBLAS, mode=ctypes.RTLD_GLOBAL)
# Large activations would be mapped and unmapped at every step: page faults took a third of the time.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
for _option in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
    ctypes.CDLL(None).mallopt(_option, 1 << 30)

import mlx.core as mx  # noqa: E402
import mlx.nn as nn  # noqa: E402
import mlx.optimizers as optim  # noqa: E402


class Net(nn.Module):  # type: ignore[misc]
    """The network of `examples.models.graph`, in MLX's order of axes (batch, height, width, channels)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(64, 128, 3, padding=1)
        self.conv3 = nn.Conv2d(128, 128, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc = nn.Linear(7 * 7 * 128, 10)

    def __call__(self, x: mx.array) -> mx.array:
        x = nn.relu(self.conv2(nn.relu(self.conv1(x))))
        x = self.pool(nn.relu(self.conv3(x)))
        return self.fc(x.reshape(x.shape[0], -1))


@dataclass(frozen=True)
class Recipe:
    """How to train. `brightened` is the share of the training images that get a lit background; all are shifted."""

    epochs: int = 4
    batch: int = 50
    learning_rate: float = 1e-3
    brightened: float = 0.3
    max_shift: int = 2
    seed: int = 7


def brighten(images: Array, light: Array) -> Array:
    """A lit background: `light` [n] is added to every pixel of image n, clipped at 1."""
    return np.clip(images + light.reshape(-1, *[1] * (images.ndim - 1)), 0, 1).astype(np.float32)


def shift(images: Array, moves: npt.NDArray[np.int64]) -> Array:
    """Image k of [n, 1, 28, 28] moved by `moves[k]` = (rows, columns) pixels; what leaves comes back on the other side."""
    return np.stack(
        [np.roll(image, tuple(move), axis=(1, 2)) for image, move in zip(images, moves, strict=True)]
    )


def train(
    images: Array, labels: npt.NDArray[np.int64], recipe: Recipe, say: Callable[[str], None] = print
) -> Net:
    """Fits a Net to `images` [n, 1, 28, 28] and `labels` [n]. Same seed, same library: same weights."""
    mx.set_default_device(mx.cpu)
    mx.random.seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    net = Net()
    steps = recipe.epochs * (len(images) // recipe.batch)
    optimizer = optim.Adam(learning_rate=optim.cosine_decay(recipe.learning_rate, steps))
    mx.eval(net.parameters())
    loss_and_gradients = nn.value_and_grad(net, _loss)
    for epoch in range(recipe.epochs):
        order = rng.permutation(len(images))
        losses = []
        for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
            rows = order[start : start + recipe.batch]
            light = np.where(rng.random(len(rows)) < recipe.brightened, rng.uniform(0, 0.7, len(rows)), 0)
            moves = rng.integers(-recipe.max_shift, recipe.max_shift + 1, (len(rows), 2))
            x = brighten(shift(images[rows], moves), light.astype(np.float32))
            loss, gradients = loss_and_gradients(net, mx.array(_channels_last(x)), mx.array(labels[rows]))
            optimizer.update(net, gradients)
            mx.eval(net.parameters(), optimizer.state)
            losses.append(loss.item())
        say(f"epoch {epoch + 1} of {recipe.epochs}: training loss {np.mean(losses):.4f}")
    return net


def logits(net: Net, images: Array, batch: int = 100) -> Array:
    """The network's answers [n, 10] in MLX: what the exported graph has to reproduce."""
    parts = [net(mx.array(_channels_last(images[i : i + batch]))) for i in range(0, len(images), batch)]
    return np.concatenate([np.array(p) for p in parts])


def weights(net: Net) -> Weights:
    """The parameters in ONNX's order of axes."""

    def kernel(layer: nn.Conv2d) -> Array:
        return np.array(layer.weight).transpose(0, 3, 1, 2)

    def bias(layer: nn.Module) -> Array:
        return np.array(layer.bias)

    linear = np.array(net.fc.weight).reshape(10, 7, 7, 128).transpose(3, 1, 2, 0).reshape(6272, 10)
    return Weights(
        kernel(net.conv1), bias(net.conv1), kernel(net.conv2), bias(net.conv2),
        kernel(net.conv3), bias(net.conv3), linear, bias(net.fc),
    )  # fmt: skip


def _loss(net: Net, x: mx.array, y: mx.array) -> mx.array:
    return nn.losses.cross_entropy(net(x), y, reduction="mean")


def _channels_last(images: Array) -> Array:
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))
