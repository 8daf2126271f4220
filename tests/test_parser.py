"""The parser: its options, and what is no model of it."""

from pathlib import Path

import numpy as np
import pytest
from parsers import write_model

from mbnet_jax.parsing import geometry
from mbnet_jax.parsing.maker import describe_maker
from mbnet_jax.parsing.options import ParserOptions
from mbnet_jax.parsing.segmenter import Parser

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

ROOT = Path(__file__).parent.parent


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
        ({"model": Path("a\0b")}, "--model=.* is not a file name|no such file"),
        ({"model": ROOT}, "--model=.* is not a regular file; replace it"),
        ({"model": Path("/dev/zero")}, "--model=/dev/zero is not a regular file"),
        ({"model": Path("none.onnx")}, "no such file: --model=none.onnx"),
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
    "truths": (
        [LOGITS, NODE("Greater", ["y", "y"], ["z"])],
        [X],
        [("z", TensorProto.BOOL, None)],
        [WEIGHTS],
        r"to tensor\(bool\); give a model that maps float images to float logits, or",
    ),
    "labels beyond the set": (
        [LOGITS, NODE("ArgMax", ["y"], ["i"], axis=1), NODE("Add", ["i", "n"], ["z"])],
        [X],
        [("z", TensorProto.INT64, None)],
        [WEIGHTS, numpy_helper.from_array(np.array(18), "n")],
        "returns the label 18, but --labels=atr has 0 to 17; give the label set",
    ),
    "negative labels": (
        [LOGITS, NODE("ArgMax", ["y"], ["i"], axis=1), NODE("Sub", ["i", "n"], ["z"])],
        [X],
        [("z", TensorProto.INT64, None)],
        [WEIGHTS, numpy_helper.from_array(np.array(1), "n")],
        "returns the label -1, but --labels=atr has 0 to 17",
    ),
    "numbers of no map": (
        [LOGITS, NODE("Shape", ["y"], ["z"])],
        [X],
        [("z", TensorProto.INT64, None)],
        [WEIGHTS],
        r"returns whole numbers \(4,\) for 8 images, not a map of labels of each",
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
    given = logits, (33, 21), (32, 16), "stretch"
    at_once = geometry.labels_from_logits(*given)
    monkeypatch.setattr(geometry, "_LARGE", 0)
    np.testing.assert_array_equal(geometry.labels_from_logits(*given), at_once)


def test_weights_beside_the_model_are_part_of_it(tmp_path):
    options = ParserOptions(write_model(tmp_path / "m.onnx"), "atr")
    alone = describe_maker(options)["model"]
    (tmp_path / "m.onnx.log").write_bytes(b"other")
    assert describe_maker(options)["model"] == alone
    (tmp_path / "m.onnx_data").write_bytes(b"weights")
    assert describe_maker(options)["model"] != alone
