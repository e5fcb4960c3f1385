"""The digit classifier as an ONNX graph, and its two revisions that go wrong in production only.

All take `image` float32 [n, 1, 28, 28] in [0, 1] and give `logits` float32 [n, 10].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[np.float32]

PIXELS = 28 * 28
INK_PER_BIN = 8  # ink is the sum of the pixels, 0 to 784: 99 possible bins
INK_OF_DIGITS = 256  # real digits have 23 to 241


@dataclass(frozen=True)
class Weights:
    """Three 3x3 convolutions [out, in, 3, 3] (the first with stride 2) and one linear layer [6272, 10], with biases."""

    conv1: Array
    bias1: Array
    conv2: Array
    bias2: Array
    conv3: Array
    bias3: Array
    linear: Array
    bias: Array

    @property
    def parameters(self) -> int:
        return sum(int(np.prod(a.shape)) for a in vars(self).values())


def random_weights(seed: int = 0) -> Weights:
    """He-initialised weights of the right shapes: for tests of the graphs that need no training."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int, fan_in: int) -> Array:
        return (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32)

    zeros = [np.zeros(n, np.float32) for n in (64, 128, 128, 10)]
    return Weights(
        draw(64, 1, 3, 3, fan_in=9), zeros[0], draw(128, 64, 3, 3, fan_in=576), zeros[1],
        draw(128, 128, 3, 3, fan_in=1152), zeros[2], draw(6272, 10, fan_in=6272), zeros[3],
    )  # fmt: skip


class _Graph:
    """Nodes and initializers gathered in order."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def node(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{op}:{output}", **attributes))
        return output

    def model(self, name: str, producer: str) -> onnx.ModelProto:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, 28, 28])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 10])
        graph = helper.make_graph(self.nodes, name, [image], [logits], self.constants)
        # Opset 17 and IR 9 are read by every runtime of this project.
        model = helper.make_model(
            graph, producer_name=producer, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def _classify(g: _Graph, image: str, weights: Weights, output: str) -> None:
    """conv/2 - relu - conv - relu - conv - relu - pool - linear, from `image` to `output`."""
    layers = (
        (weights.conv1, weights.bias1, 2),
        (weights.conv2, weights.bias2, 1),
        (weights.conv3, weights.bias3, 1),
    )
    at = image
    for i, (kernel, bias, stride) in enumerate(layers, start=1):
        names = [at, g.constant(f"conv{i}.weight", kernel), g.constant(f"conv{i}.bias", bias)]
        g.node("Conv", names, f"conv{i}", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[stride, stride])
        at = g.node("Relu", [f"conv{i}"], f"relu{i}")
    g.node("MaxPool", [at], "pool", kernel_shape=[2, 2], strides=[2, 2])
    g.node("Flatten", ["pool"], "features", axis=1)
    g.node(
        "Gemm",
        ["features", g.constant("fc.weight", weights.linear), g.constant("fc.bias", weights.bias)],
        output,
    )


def digits_v1(weights: Weights) -> onnx.ModelProto:
    """The plain classifier."""
    g = _Graph()
    _classify(g, "image", weights, "logits")
    return g.model("digits", "edgeramp-examples")


def digits_v2(weights: Weights, temperatures: Array) -> onnx.ModelProto:
    """The classifier with its confidence calibrated per exposure; fails on images brighter than any it was fitted on.

    `temperatures` float32 [bins]: one divisor of the logits per `INK_PER_BIN` of ink. The bin of an image is looked
    up by GatherElements, which checks its index in ONNX Runtime and in OpenVINO alike (a plain Gather outside its
    table raises in ONNX Runtime and silently gives zeros in OpenVINO). The bin is computed in integers, because a
    quantizer would clamp a float path to the range it saw in calibration and so hide the bug from production.
    """
    g = _Graph()
    _classify(g, "image", weights, "raw")
    axes = g.constant("ink.axes", np.array([1, 2, 3], np.int64))
    g.node("ReduceSum", ["image", axes], "ink", keepdims=0)
    g.node("Cast", ["ink"], "ink.whole", to=TensorProto.INT64)
    g.node("Div", ["ink.whole", g.constant("ink.per_bin", np.array(INK_PER_BIN, np.int64))], "bin")
    g.node("GatherElements", [g.constant("temperatures", temperatures), "bin"], "temperature", axis=0)
    g.node("Unsqueeze", ["temperature", g.constant("column", np.array([1], np.int64))], "temperature.column")
    g.node("Div", ["raw", "temperature.column"], "logits")
    return g.model("digits-v2", "edgeramp-examples")


def digits_slow(weights: Weights) -> onnx.ModelProto:
    """The classifier behind an iterative background removal: the same on digits, on lit images slow (and often wrong).

    The brightest image of the batch sets the number of passes: none for digits on black. Integers for the same reason.
    """
    g = _Graph()
    g.node("ReduceSum", ["image", g.constant("ink.axes", np.array([1, 2, 3], np.int64))], "ink", keepdims=0)
    g.node("ReduceMax", ["ink"], "most", axes=[0], keepdims=0)
    g.node("Cast", ["most"], "ink.whole", to=TensorProto.INT64)
    g.node("Sub", ["ink.whole", g.constant("ink.of_digits", np.array(INK_OF_DIGITS, np.int64))], "excess")
    g.node("Max", ["excess", g.constant("none", np.array(0, np.int64))], "passes")
    g.constant("blur", _blurs(16, 9))
    g.constant("margin", np.array([0, 0, 4, 4, 0, 0, 4, 4], np.int64))
    g.constant("pace", np.array(0.02, np.float32))
    always = g.constant("always", np.array(True))
    g.node("Loop", ["passes", always, "image"], "cleaned", body=_background_pass())
    g.node("Reshape", ["cleaned", g.constant("shape", np.array([-1, 1, 28, 28], np.int64))], "image.clean")
    _classify(g, "image.clean", weights, "logits")
    return g.model("digits-slow", "edgeramp-examples")


def _background_pass() -> onnx.GraphProto:
    """One pass of the loop: estimate the background under 16 blurs, take a little of the least of them away."""
    shape = ["n", 1, 28, 28]
    nodes = [
        helper.make_node("Identity", ["keep_in"], ["keep_out"]),
        helper.make_node("Pad", ["at_in", "margin"], ["padded"], mode="edge"),
        helper.make_node("Conv", ["padded", "blur"], ["blurred"], kernel_shape=[9, 9]),
        helper.make_node("ReduceMin", ["blurred"], ["least"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["least", "pace"], ["share"]),
        helper.make_node("Sub", ["at_in", "share"], ["lower"]),
        helper.make_node("Relu", ["lower"], ["at_out"]),
    ]
    inputs = [
        helper.make_tensor_value_info("pass", TensorProto.INT64, []),
        helper.make_tensor_value_info("keep_in", TensorProto.BOOL, []),
        helper.make_tensor_value_info("at_in", TensorProto.FLOAT, shape),
    ]
    outputs = [
        helper.make_tensor_value_info("keep_out", TensorProto.BOOL, []),
        helper.make_tensor_value_info("at_out", TensorProto.FLOAT, shape),
    ]
    return helper.make_graph(nodes, "background_pass", inputs, outputs)


def _blurs(count: int, size: int) -> Array:
    """`count` normalised Gaussian kernels [count, 1, size, size] of growing width."""
    ax = np.arange(size) - size // 2
    square = ax[:, None] ** 2 + ax[None, :] ** 2
    kernels = np.stack([np.exp(-square / (2 * (0.5 + 0.25 * i) ** 2)) for i in range(count)])
    return (kernels / kernels.sum(axis=(1, 2), keepdims=True)).astype(np.float32)[:, None]
