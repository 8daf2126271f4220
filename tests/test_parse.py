"""Maps made with a small ONNX model whose classes are known colours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

from mbnet_jax.commands.parse import make_maps
from mbnet_jax.data import read_records
from mbnet_jax.data.load import images_folder
from mbnet_jax.data.needed_maps import check_maps
from mbnet_jax.parsing.segmenter import ParserOptions
from mbnet_jax.parsing.voc import VOC_COLOURS

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

ROOT = Path(__file__).parent.parent
MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])
# ATR label -> the colour that the model takes for it. The two greys show whether
# values are normalised correctly: halfway between is 0.5.
COLOURS = {0: (0.4, 0.4, 0.4), 4: (0.6, 0.6, 0.6), 6: (1, 0, 0), 11: (0, 0, 1)}


def write_model(
    path: Path, classes: int = 18, layout: str = "nchw", batch="batch", size=("h", "w")
) -> Path:
    """Averages 4x4 pixels, then scores each class by the distance to its colour.

    The nearest colour c to x has the greatest 2 c x - c c, where x is the
    normalised input times the std plus the mean.
    """
    weights = np.zeros((classes, 3, 1, 1), np.float32)
    bias = np.full(classes, -1e3, np.float32)
    for label, colour in COLOURS.items():
        if label < classes:
            weights[label, :, 0, 0] = 2 * np.array(colour) * STD
            bias[label] = np.dot(2 * MEAN - colour, colour)
    chw, hwc = [batch, 3, *size], [batch, *size, 3]
    nodes = [
        helper.make_node(
            "AveragePool", ["x"], ["small"], kernel_shape=[4, 4], strides=[4, 4]
        ),
        helper.make_node("Conv", ["small", "weights", "bias"], ["logits"]),
    ]
    names = "x", "logits"
    if layout == "nhwc":
        before = helper.make_node("Transpose", ["in"], ["x"], perm=[0, 3, 1, 2])
        after = helper.make_node("Transpose", ["logits"], ["out"], perm=[0, 2, 3, 1])
        nodes = [before, *nodes, after]
        names = "in", "out"
    graph = helper.make_graph(
        nodes,
        "colours",
        [
            helper.make_tensor_value_info(
                names[0], TensorProto.FLOAT, chw if layout == "nchw" else hwc
            )
        ],
        [helper.make_tensor_value_info(names[1], TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(bias, "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def pattern(number: int) -> np.ndarray:
    """Labels [64, 32] in blocks that are visible at a quarter of the size."""
    blocks = np.random.default_rng(number).choice([*COLOURS], (4, 2))
    return blocks.repeat(16, 0).repeat(16, 1).astype(np.uint8)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The synthetic layout, with pictures of coloured blocks."""
    config = tiny.tiny_config(tmp_path_factory.mktemp("data"))
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


def images(config) -> list[Path]:
    records = read_records("synthetic", images_folder(config.data))
    return [row.path for rows in records.values() for row in rows]


def maps(config, out: Path) -> list[Image.Image]:
    folder = images_folder(config.data)
    return [
        Image.open((out / path.relative_to(folder)).with_suffix(".png"))
        for path in images(config)
    ]


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ({}, {"batch": 5}),  # 24 images: the last batch is not full
        ({"layout": "nhwc"}, {"layout": "nhwc"}),
        ({"batch": 7, "size": (128, 64)}, {"batch": 8}),
    ],
)
def test_maps_are_the_models_classes_at_the_images_size(
    config, tmp_path, model, options
):
    path = write_model(tmp_path / "m.onnx", **model)
    parser = ParserOptions(path, "atr", (128, 64), **options)
    out = tmp_path / "maps"
    assert make_maps(config, parser, out) == len(images(config))
    for number, picture in enumerate(maps(config, out)):
        assert picture.mode == "P" and picture.size == (32, 64)
        assert picture.getpalette()[: 18 * 3] == VOC_COLOURS[:18].ravel().tolist()
        found, expected = np.asarray(picture), pattern(number)
        # Logits are a quarter of the input: blocks mix at their edges.
        inner = np.s_[3:13]
        np.testing.assert_array_equal(
            found.reshape(4, 16, 2, 16)[:, inner, :, inner],
            expected.reshape(4, 16, 2, 16)[:, inner, :, inner],
        )


def test_making_resumes_and_keeps_existing_maps(config, tmp_path):
    parser = ParserOptions(write_model(tmp_path / "m.onnx"), "atr", (128, 64))
    out = tmp_path / "maps"
    make_maps(config, parser, out)
    written = sorted(out.rglob("*.png"))
    written[2].unlink()
    written[5].write_bytes(b"kept")
    assert make_maps(config, parser, out) == 1
    assert written[2].is_file() and written[5].read_bytes() == b"kept"
    assert not list(out.rglob("*.part"))


def test_maps_of_other_options_are_not_mixed(config, tmp_path):
    path, out = write_model(tmp_path / "m.onnx"), tmp_path / "maps"
    make_maps(config, ParserOptions(path, "atr", (64, 32)), out)
    other = ParserOptions(path, "atr", (128, 64), std=(1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="with another size, std: give another"):
        make_maps(config, other, out)
    (out / "maps.json").rename(tmp_path / "maps.json")
    with pytest.raises(ValueError, match="were made by another program: give another"):
        make_maps(config, other, out)
    (tmp_path / "maps.json").rename(out / "maps.json")
    config = config.copy_and_resolve_references()
    config.data.parsing_dir = str(out)
    config.data.parsing_labels = "lip"
    with pytest.raises(ValueError, match="were made with --labels=atr: give --config"):
        check_maps(config, {}, training=True)
    config.data.parsing_labels = "atr"
    check_maps(config, {}, training=True)


def test_maps_of_an_earlier_version_are_of_the_same_maker(config, tmp_path):
    path, out = write_model(tmp_path / "m.onnx"), tmp_path / "maps"
    parser = ParserOptions(path, "atr", (64, 32))
    make_maps(config, parser, out)
    maker = json.loads((out / "maps.json").read_text())
    earlier = {"deviation" if k == "std" else k: v for k, v in maker.items()}
    assert earlier["deviation"] == STD.tolist()
    (out / "maps.json").write_text(json.dumps(earlier))
    other = ParserOptions(path, "atr", (64, 32), std=(1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="made with another std: give another"):
        make_maps(config, other, out)
    next(out.rglob("*.png")).unlink()
    assert make_maps(config, parser, out) == 1
    assert json.loads((out / "maps.json").read_text()) == maker


def test_errors_name_what_does_not_fit(config, tmp_path):
    model = write_model(tmp_path / "m.onnx")
    fixed = write_model(tmp_path / "fixed.onnx", size=(64, 64))

    def make(path=model, labels="atr", size=(64, 32), out=tmp_path / "maps", **more):
        make_maps(config, ParserOptions(path, labels, size, **more), out)

    with pytest.raises(ValueError, match=r"returns \(8, 16, 8, 18\).* the 20 classes"):
        make(labels="lip")
    assert not (tmp_path / "maps").exists()
    with pytest.raises(ValueError, match="'cihp' is unknown; known: canonical, lip"):
        make(labels="cihp")
    with pytest.raises(ValueError, match=r"fixed\.onnx takes .*: give its --size and"):
        make(fixed)
    with pytest.raises(ValueError, match=r"m\.onnx takes .*: give its --size"):
        make(layout="nhwc")
    with pytest.raises(ValueError, match="--layout='chw' is unknown; known: nchw"):
        make(layout="chw")
    with pytest.raises(ValueError, match="--mean needs 3 numbers"):
        make(mean=(0.5,))
    with pytest.raises(FileNotFoundError, match=r"--model=.*none\.onnx: no such file"):
        make(tmp_path / "none.onnx")
    broken = images(config)[0]
    good = broken.read_bytes()
    broken.write_bytes(b"")
    try:
        with pytest.raises(ValueError, match=f"{broken.name} cannot be decoded"):
            make(out=tmp_path / "others")
    finally:
        broken.write_bytes(good)


def test_the_command(config, tmp_path):
    model = write_model(tmp_path / "m.onnx")
    command = [sys.executable, "-m", "mbnet_jax.commands.parse"]
    command += ["--config", "configs/synthetic.py", "--model", str(model)]
    command += [f"--config.data.root={config.data.root}", "--size", "64,32"]
    command += [
        f"--config.data.synthetic.{key}={value}"
        for key, value in config.data.synthetic.items()
        if key not in ("height", "width")
    ]
    command += ["--config.data.height=64", "--config.data.width=32"]
    out = tmp_path / "maps"

    def run(*more: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*command, *more],
            cwd=ROOT,
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )

    done = run("--labels", "atr", f"--config.data.parsing_dir={out}")
    assert done.returncode == 0, done.stderr
    assert "made 24 maps" in done.stdout and "mbnet-preview --config" in done.stdout
    assert "--config.data.parsing_labels=atr" in (done.stdout)
    assert len(maps(config, out)) == 24
    refused = run(f"--out={out}")
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert "error: give --labels lip|atr|pascal|canonical" in refused.stderr
