"""Maps made with a small ONNX model whose classes are known colours."""

import errno
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

from mbnet_jax.commands.parse import _numbers
from mbnet_jax.data import Record, read_records
from mbnet_jax.data import make_maps as make_maps_module
from mbnet_jax.data.load import images_folder
from mbnet_jax.data.make_maps import make_maps
from mbnet_jax.data.needed_maps import check_maps
from mbnet_jax.files import write_whole
from mbnet_jax.locks import locked
from mbnet_jax.parsing import segmenter
from mbnet_jax.parsing.maps import encode_parsing
from mbnet_jax.parsing.options import ParserOptions
from mbnet_jax.parsing.segmenter import Parser
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
    kept = encode_parsing(np.full((64, 32), 17, np.uint8))
    written[5].write_bytes(kept)
    (out / "notes.txt").write_text("a user's")
    assert make_maps(config, parser, out) == 1
    assert written[2].is_file() and written[5].read_bytes() == kept
    assert (out / "notes.txt").read_text() == "a user's"
    assert not list(out.rglob("*.part"))
    with locked(out), pytest.raises(BlockingIOError, match="maps is in use by process"):
        make_maps(config, parser, out)


def test_damaged_maps_are_named_and_left_as_they_are(config, tmp_path):
    parser = ParserOptions(write_model(tmp_path / "m.onnx"), "atr", (128, 64))
    out = tmp_path / "maps"
    make_maps(config, parser, out)
    written = sorted(out.rglob("*.png"))
    damage = {0: b"", 3: written[3].read_bytes()[:-60], 4: b"text"}
    damage[7] = encode_parsing(np.full((64, 32), 18, np.uint8))
    for number, data in damage.items():
        written[number].write_bytes(data)
    written[9].unlink()
    written[9].mkdir()
    with pytest.raises(
        ValueError, match="5 of 24 existing maps cannot be used"
    ) as found:
        make_maps(config, parser, out)
    assert all(str(written[number]) in str(found.value) for number in (*damage, 9))
    assert "Delete them; the same command then makes them again" in str(found.value)
    assert all(written[number].read_bytes() == data for number, data in damage.items())


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
    with pytest.raises(ValueError, match=r"fixed\.onnx takes .*: give its --size and"):
        make(fixed)
    with pytest.raises(ValueError, match=r"m\.onnx takes .*: give its --size"):
        make(layout="nhwc")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"labels": "cihp"},
            "--labels='cihp' must be one of 'canonical', 'lip', 'atr'",
        ),
        ({"labels": None}, "--labels=None must be one of"),
        ({"layout": "chw"}, "--layout='chw' must be one of 'nchw', 'nhwc'"),
        ({"size": (64,)}, r"--size=\(64,\) must be 2 entries"),
        ({"size": (64, 64, 64)}, "--size=.* must be 2 entries"),
        ({"size": (0, 64)}, "--size=.* must be 2 entries, each a whole number from 8"),
        ({"size": (-8, 64)}, "--size="),
        ({"size": (10**9, 64)}, "--size="),
        ({"size": (64.0, 64)}, "--size="),
        ({"size": (2048, 2048), "batch": 64}, "too large, .*; --batch=64: lower it"),
        ({"size": None}, "--size=None must be 2 entries"),
        ({"mean": (0.5,)}, "--mean=.* must be 3 entries"),
        ({"mean": (float("nan"), 0.5, 0.5)}, "--mean=.* each a number from -1,000"),
        ({"std": (float("nan"), 0.5, 0.5)}, "--std=.* each a number from 0.001"),
        ({"std": (float("inf"), 0.5, 0.5)}, "--std="),
        ({"std": (0, 1, 1)}, "--std="),
        ({"std": (-1.0, 1, 1)}, "--std="),
        ({"std": ("1", 1, 1)}, "--std="),
        ({"batch": 0}, "--batch=0 must be a whole number from 1 to 1,024"),
        ({"batch": 10**9}, "--batch=1000000000 must be"),
        ({"batch": True}, "--batch=True must be"),
        ({"model": "m.onnx"}, "--model='m.onnx' must be a path"),
        ({"model": Path("a\0b")}, "--model=.* is no file name|no such file"),
        ({"model": ROOT}, "--model=.* is not a file; give the ONNX file"),
        ({"model": Path("/dev/zero")}, "--model=/dev/zero is not a file"),
        ({"model": Path("none.onnx")}, "--model=none.onnx: no such file"),
    ],
)
def test_wrong_options_are_named(tmp_path, change, message):
    (tmp_path / "m.onnx").write_bytes(b"model")
    given = {"model": tmp_path / "m.onnx", "labels": "atr"} | change
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        ParserOptions(**given)


def saved(path: Path, nodes: list, inputs: list, outputs: list, weights=()) -> Path:
    """A model of tensors: (name, type, shape), or [name] of float of any shape."""

    def values(tensors):
        return [
            helper.make_tensor_value_info(
                *(t if t[1:] else (*t, TensorProto.FLOAT, None))
            )
            for t in tensors
        ]

    graph = helper.make_graph(nodes, "m", values(inputs), values(outputs), [*weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path


def outside_weights() -> TensorProto:
    """Weights that a model's file says are in a file outside its folder."""
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=(18, 3, 1, 1))
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../secret")
    return weights


NODE = helper.make_node
X = ("x", TensorProto.FLOAT, ["batch", 3, "h", "w"])
WEIGHTS = numpy_helper.from_array(np.ones((18, 3, 1, 1), np.float32), "w")
SHAPE = numpy_helper.from_array(np.array([7, 11, 13]), "s")
LOGITS = NODE("Conv", ["x", "w"], ["y"])
ZERO = NODE("Sub", ["y", "y"], ["o"])
NO_MODELS = {
    "text": (b"text", "cannot be loaded as an ONNX model .*; export the model again"),
    "empty": (b"", "is empty; export the model again"),
    "two inputs": (
        [LOGITS, NODE("Add", ["y", "b"], ["z"])],
        [X, ["b"]],
        [["z"]],
        [WEIGHTS],
        "has 2 inputs and 1 outputs; give a model of one input",
    ),
    "no input": (
        [NODE("Identity", ["w"], ["y"])],
        [],
        [["y"]],
        [WEIGHTS],
        "has 0 inputs and 1 outputs",
    ),
    "no output": ([LOGITS], [X], [], [WEIGHTS], "has 1 inputs and 0 outputs"),
    "numbers of classes": (
        [LOGITS, NODE("ArgMax", ["y"], ["z"], axis=1)],
        [X],
        [("z", TensorProto.INT64, None)],
        [WEIGHTS],
        r"to tensor\(int64\); give a model that maps float images to float logits",
    ),
    "one image's logits": (
        [LOGITS, NODE("ReduceMean", ["y"], ["z"], axes=[0])],
        [X],
        [["z"]],
        [WEIGHTS],
        r"returns \(1, 64, 32, 18\) \(channels last\) for 8 images, not logits",
    ),
    "logits of an axis": (
        [LOGITS, NODE("Flatten", ["y"], ["z"])],
        [X],
        [["z"]],
        [WEIGHTS],
        r"returns \(8, 36864\) .* not logits of the 18 classes of --labels=atr",
    ),
    "NaN": (
        [LOGITS, ZERO, NODE("Div", ["o", "o"], ["z"])],
        [X],
        [["z"]],
        [WEIGHTS],
        "returns logits that are NaN or infinite; check --mean and --std",
    ),
    "an error": (
        [LOGITS, NODE("Reshape", ["y", "s"], ["z"])],
        [X],
        [["z"]],
        [WEIGHTS, SHAPE],
        r"fails on an input of \(8, 3, 64, 32\) .*; give another --size",
    ),
    "weights outside": (
        [LOGITS],
        [X],
        [["y"]],
        [outside_weights()],
        "cannot be loaded as an ONNX model .*escapes model directory",
    ),
    "a batch that fills the memory": (
        [LOGITS],
        [("x", TensorProto.FLOAT, [10**9, 3, "h", "w"])],
        [["y"]],
        [WEIGHTS],
        r"too large, .*m\.onnx with a smaller one",
    ),
}


def test_a_model_larger_than_onnx_allows_is_not_read(tmp_path):
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"model.onnx has 1,099,.* bytes, an ONNX"):
        ParserOptions(path, "atr")


@pytest.mark.parametrize("kind", NO_MODELS)
def test_what_is_no_parser_is_named(tmp_path, kind):
    (tmp_path / "secret").write_bytes(bytes(18 * 3 * 4))
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "m.onnx"
    *parts, message = NO_MODELS[kind]
    if isinstance(parts[0], bytes):
        path.write_bytes(parts[0])
    else:
        saved(path, *parts)
    with pytest.raises(ValueError, match=message) as found:
        Parser(ParserOptions(path, "atr", (64, 32)))
    assert str(path) in str(found.value) and "\n" not in str(found.value)


def test_a_large_image_is_parsed_class_by_class(monkeypatch):
    logits = np.random.default_rng(0).normal(size=(8, 4, 18)).astype(np.float32)
    at_once = segmenter._labels_at(logits, (33, 21))
    monkeypatch.setattr(segmenter, "_LARGE", 0)
    np.testing.assert_array_equal(segmenter._labels_at(logits, (33, 21)), at_once)


def test_images_that_cannot_be_decoded_are_named_at_the_end(
    config, tmp_path, monkeypatch
):
    folder = images_folder(config.data)
    # Would make them again.
    monkeypatch.setattr("mbnet_jax.data.make_maps.images_folder", lambda data: folder)
    parser = ParserOptions(write_model(tmp_path / "m.onnx"), "atr", (64, 32), batch=5)
    broken = images(config)[:6]
    good = [path.read_bytes() for path in broken]
    for path in broken:
        path.write_bytes(b"")
    try:
        with pytest.raises(
            ValueError, match="made 18 maps, but 6 images cannot"
        ) as found:
            make_maps(config, parser, tmp_path / "maps")
    finally:
        for path, data in zip(broken, good, strict=True):
            path.write_bytes(data)
    assert all(f"{path} cannot be decoded" in str(found.value) for path in broken)
    assert make_maps(config, parser, tmp_path / "maps") == 6


@pytest.fixture
def lists(monkeypatch):
    """Sets the images, relative to the dataset's folder, that its reader lists."""

    def lists(*names: str) -> None:
        def read(name, folder):
            return {"train": [Record(folder / n, 0, 0, 0, None) for n in names]}

        monkeypatch.setattr("mbnet_jax.data.make_maps.read_records", read)

    return lists


def test_nothing_is_written_outside_of_out(config, tmp_path, lists):
    parser = ParserOptions(write_model(tmp_path / "m.onnx"), "atr", (64, 32))
    out = tmp_path / "a" / "maps"
    first = images(config)[0].relative_to(images_folder(config.data))
    lists("train/x.jpg", f"../../{first}")
    with pytest.raises(ValueError, match=r"is outside of .* cannot mirror it"):
        make_maps(config, parser, out)
    lists(str(first), str(first.with_suffix(".webp")))
    with pytest.raises(ValueError, match=r"jpg and .*webp would share the parsing map"):
        make_maps(config, parser, out)
    assert not out.exists()
    lists(str(first))
    out.mkdir(parents=True)
    (out / "train").symlink_to(tmp_path)
    with pytest.raises(
        ValueError, match=r"train leads to .*, outside of --out=.*maps;"
    ):
        make_maps(config, parser, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "m.onnx"]


def test_out_is_a_folder_that_can_be_written_and_is_not_the_images(config, tmp_path):
    parser = ParserOptions(write_model(tmp_path / "m.onnx"), "atr", (64, 32))
    folder = images_folder(config.data)
    for out in (folder, folder / "train", folder / "query" / "maps"):
        with pytest.raises(
            ValueError, match=f"--out={out} is a folder of the dataset's"
        ):
            make_maps(config, parser, out)
    assert not (folder / "query" / "maps").exists()
    for out in (tmp_path / "m.onnx", tmp_path / "m.onnx" / "maps", Path("/proc/maps")):
        with pytest.raises(
            OSError, match=f"{out} cannot be written to .*; give another"
        ):
            make_maps(config, parser, out)
    with pytest.raises(ValueError, match="is no folder name"):
        make_maps(config, parser, tmp_path / "a\0b")


def test_a_full_disk_is_named_and_leaves_whole_maps(config, tmp_path, monkeypatch):
    parser = ParserOptions(write_model(tmp_path / "m.onnx"), "atr", (64, 32))
    out, count = tmp_path / "maps", itertools.count()

    def full(path, data):
        if next(count) == 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_whole(path, data)

    monkeypatch.setattr("mbnet_jax.data.make_maps.write_whole", full)
    with pytest.raises(
        OSError, match=r"png cannot be written \(No space left.*resumes"
    ):
        make_maps(config, parser, out)
    assert len([*out.rglob("*.png")]) == 3
    assert make_maps(config, parser, out) == len(images(config)) - 3


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("std", [0, 1, 1], r"is damaged: std=\[0, 1, 1\] must be 3 entries"),
        ("std", None, "is damaged: std=None must be"),
        ("size", "64,32", "is damaged: size='64,32' must be"),
        ("model", 5, "is damaged: model=5 must be"),
        ("version", 99, "has version=99, not 1; a later version"),
        ("layout", ..., "is damaged: layout is missing; it must be one of"),
    ],
)
def test_a_damaged_description_is_not_replaced(config, tmp_path, entry, value, message):
    parser = ParserOptions(write_model(tmp_path / "m.onnx"), "atr", (64, 32))
    maker = make_maps_module._maker(parser)
    if value is ...:
        del maker[entry]
    else:
        maker[entry] = value
    (tmp_path / "maps.json").write_text(json.dumps(maker))
    with pytest.raises(ValueError, match=rf"maps\.json {message}"):
        make_maps(config, parser, tmp_path)
    assert json.loads((tmp_path / "maps.json").read_text()) == maker


def test_weights_beside_the_model_are_part_of_it(tmp_path):
    options = ParserOptions(write_model(tmp_path / "m.onnx"), "atr")
    alone = make_maps_module._maker(options)["model"]
    (tmp_path / "m.onnx.log").write_bytes(b"other")
    assert make_maps_module._maker(options)["model"] == alone
    (tmp_path / "m.onnx_data").write_bytes(b"weights")
    assert make_maps_module._maker(options)["model"] != alone


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


@pytest.mark.parametrize(
    ("texts", "kind", "message"),
    [
        (["512", "x"], int, "--size='512,x' must be whole numbers, as in 512,256"),
        (["1.5", "2"], int, "--size='1.5,2' must be whole numbers"),
        (["9" * 5000, "2"], int, f"--size='{'9' * 60}' must be whole numbers"),
        ([], int, None),
        (["1e999", "a"], float, "--size='1e999,a' must be numbers, as in 0.5,0.5,0.5"),
    ],
)
def test_lists_of_the_command_are_numbers(texts, kind, message):
    if message is None:
        assert _numbers(texts, "size", kind) == ()
        return
    with pytest.raises(ValueError, match=re.escape(message)):
        _numbers(texts, "size", kind)
