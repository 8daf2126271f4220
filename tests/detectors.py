"""Small ONNX models with the outputs of public detectors, and boxes encoded so."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

STRIDES = (8, 16, 32)


def write_constant(
    path: Path, outputs: Sequence[np.ndarray], size: tuple = (64, 96), channels: int = 3
) -> Path:
    """A model that returns `outputs`, whatever its input [1, channels, *size]."""
    info = helper.make_tensor_value_info
    names = [f"output{number}" for number in range(len(outputs))]
    graph = helper.make_graph(
        [helper.make_node("Identity", [f"c{name}"], [name]) for name in names],
        "constant",
        [info("images", TensorProto.FLOAT, [1, channels, *size])],
        [
            info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in zip(names, outputs, strict=True)
        ],
        [
            numpy_helper.from_array(value, f"c{name}")
            for name, value in zip(names, outputs, strict=True)
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def write_mean(path: Path, size: tuple[int, int] = (64, 96)) -> Path:
    """A model of D-FINE's form whose box is the mean of each channel, and 1."""
    info = helper.make_tensor_value_info
    logits = np.full((1, 1, 3), 9, np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images"], ["m"], axes=[2, 3], keepdims=0),
            helper.make_node("Concat", ["m", "one"], ["b"], axis=1),
            helper.make_node("Unsqueeze", ["b", "axis"], ["boxes"]),
            helper.make_node("Identity", ["l"], ["logits"]),
        ],
        "mean",
        [info("images", TensorProto.FLOAT, [1, 3, *size])],
        [
            info("logits", TensorProto.FLOAT, [1, 1, 3]),
            info("boxes", TensorProto.FLOAT, [1, 1, 4]),
        ],
        [
            numpy_helper.from_array(logits, "l"),
            numpy_helper.from_array(np.ones((1, 1), np.float32), "one"),
            numpy_helper.from_array(np.int64([1]), "axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def yolox_output(
    boxes: Sequence[tuple[float, ...]], size: tuple[int, int] = (64, 96)
) -> np.ndarray:
    """YOLOX's output [1, n, 7] for boxes of its input; two classes.

    Each box is (centre x, centre y, width, height, objectness, person, stride); it is
    in the cell of its stride's grid that its centre is in. Other cells find nothing.
    """
    rows = []
    for stride in STRIDES:
        high, wide = size[0] // stride, size[1] // stride
        grid = np.zeros((high, wide, 7), np.float32)
        for x, y, width, height, sure, person, of in boxes:
            if of != stride:
                continue
            row, column = int(y // stride), int(x // stride)
            grid[row, column] = (
                *(x / stride - column, y / stride - row),
                *(np.log(width / stride), np.log(height / stride)),
                *(sure, person, 1 - person),
            )
        rows.append(grid.reshape(-1, 7))
    return np.concatenate(rows)[None]


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes x, y, width, height."""
    sides = [
        min(one[i] + one[i + 2], other[i] + other[i + 2]) - max(one[i], other[i])
        for i in (0, 1)
    ]
    both = max(sides[0], 0) * max(sides[1], 0)
    return both / (one[2] * one[3] + other[2] * other[3] - both)


def greedy(boxes: np.ndarray, scores: np.ndarray, most: float) -> list[int]:
    """Non-maximum suppression as its definition says it."""
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if all(overlap(boxes[index], boxes[other]) <= most for other in kept):
            kept.append(int(index))
    return kept
