"""A small ONNX model whose classes are known colours, and images of them."""

from pathlib import Path

import numpy as np
import pytest
import tiny
from ml_collections import ConfigDict
from PIL import Image

from mbnet_jax.data import read_records
from mbnet_jax.data.load import images_folder

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])
# ATR label -> the colour that the model takes for it. The two greys show whether
# values are normalised correctly: halfway between is 0.5.
COLOURS = {0: (0.4, 0.4, 0.4), 4: (0.6, 0.6, 0.6), 6: (1, 0, 0), 11: (0, 0, 1)}


def write_model(
    path: Path,
    classes: int = 18,
    layout: str = "nchw",
    batch="batch",
    size=("h", "w"),
    *,
    channels: str = "rgb",
    stride: int = 4,
    points: bool = False,
    form: str = "logits",
) -> Path:
    """Averages 4x4 pixels, then scores each class by the distance to its colour.

    The nearest colour c to x has the greatest 2 c x - c c, where x is the
    normalised input times the std plus the mean.

    Args:
      channels: the order in which the model takes colours.
      stride: pixels of the input for each of the logits.
      points: whether logits are of every `stride`-th pixel, not of an average.
      form: "logits"; "schp" for outputs parsing, fusion and edge, of which the first
        is wrong; or "argmax" and "argmax 1" for labels without and with a channel.
    """
    order = np.arange(3) if channels == "rgb" else np.arange(3)[::-1]
    weights = np.zeros((classes, 3, 1, 1), np.float32)
    bias = np.full(classes, -1e3, np.float32)
    for label, colour in COLOURS.items():
        if label < classes:
            weights[label, :, 0, 0] = (2 * np.array(colour) * STD)[order]
            bias[label] = np.dot(2 * MEAN - colour, colour)
    chw, hwc = [batch, 3, *size], [batch, *size, 3]
    sides, node = [1 if points else 4] * 2, helper.make_node
    nodes = [
        node("AveragePool", ["x"], ["s"], kernel_shape=sides, strides=[stride] * 2),
        node("Conv", ["s", "weights", "bias"], ["logits"]),
    ]
    names, outputs = "x", [("logits", TensorProto.FLOAT)]
    if layout == "nhwc":
        before = node("Transpose", ["in"], ["x"], perm=[0, 3, 1, 2])
        nodes = [before, *nodes]
        nodes.append(node("Transpose", ["logits"], ["out"], perm=[0, 2, 3, 1]))
        names, outputs = "in", [("out", TensorProto.FLOAT)]
    if form == "schp":
        nodes.append(node("Neg", ["logits"], ["parsing"]))
        nodes.append(node("Identity", ["s"], ["edge"]))
        outputs = [(name, TensorProto.FLOAT) for name in ("parsing", "logits", "edge")]
    elif form.startswith("argmax"):
        kept = int(form == "argmax 1")
        nodes.append(node("ArgMax", ["logits"], ["labels"], axis=1, keepdims=kept))
        outputs = [("labels", TensorProto.INT64)]
    graph = helper.make_graph(
        nodes,
        "colours",
        [
            helper.make_tensor_value_info(
                names, TensorProto.FLOAT, chw if layout == "nchw" else hwc
            )
        ],
        [helper.make_tensor_value_info(*output, None) for output in outputs],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(bias, "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def painted(labels: np.ndarray) -> np.ndarray:
    """The image, uint8 [h, w, 3], whose pixels the model labels so."""
    colours = np.zeros((18, 3))
    for label, colour in COLOURS.items():
        colours[label] = colour
    return (colours[labels] * 255).round().astype(np.uint8)


def pattern(number: int) -> np.ndarray:
    """Labels [64, 32] in blocks that are visible at a quarter of the size."""
    blocks = np.random.default_rng(number).choice([*COLOURS], (4, 2))
    return blocks.repeat(16, 0).repeat(16, 1).astype(np.uint8)


def images(config) -> list[Path]:
    records = read_records("synthetic", images_folder(config.data))
    return [row.path for rows in records.values() for row in rows]


def maps(config, out: Path) -> list[Image.Image]:
    folder = images_folder(config.data)
    return [
        Image.open((out / path.relative_to(folder)).with_suffix(".png"))
        for path in images(config)
    ]


def coloured_blocks(root: Path) -> ConfigDict:
    """Makes the synthetic layout, with pictures of coloured blocks; its config."""
    config = tiny.tiny_config(root)
    config.data.synthetic.train_identities = 2
    config.data.synthetic.test_identities = 1
    colours = np.zeros((18, 3))
    # Just beyond the halfway grey, where wrong normalisation shows.
    for label, colour in (COLOURS | {0: (0.46,) * 3, 4: (0.54,) * 3}).items():
        colours[label] = colour
    for number, path in enumerate(images(config)):
        pixels = (colours[pattern(number)] * 255).round().astype(np.uint8)
        path.write_bytes(tiny.encoded(pixels, "PNG"))  # exact, whatever its name
    return config
