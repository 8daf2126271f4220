"""A detector of people in front of a scene that is known, in D-FINE's form.

Whatever in a lane differs from the empty scene is one person. So it finds made-up
people without any training, and runs as a public detector does.
"""

from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_DIFFERENCE = 0.12  # of 0 to 1, by which a person differs from the empty scene


def write_detector(path: Path, empty: np.ndarray, lanes: int, side: int = 640) -> None:
    """Writes the detector.

    Args:
      path: of the ONNX file.
      empty: uint8 [h, w, 3], RGB, the scene without people.
      lanes: how many, from top to bottom; each has one person at a time, or none.
      side: of its square input, in pixels; less, if the lanes do not divide it.
    """
    side = side // lanes * lanes
    small = cv2.resize(empty, (side, side), interpolation=cv2.INTER_LINEAR) / 255
    lane, node = side // lanes, helper.make_node
    constants = {
        "empty": np.float32(small.transpose(2, 0, 1)[None]),
        "least": np.float32(_DIFFERENCE),
        # 3 x 3 removes single pixels that differ by compression alone.
        "lanes": np.int64([1, lanes, lane, side]),
        "channel": np.int64([1]),
        "rows": np.int64([2]),
        "columns": np.int64([3]),
        "both": np.int64([2, 3]),
        "one": np.float32(1),
        "half": np.float32(0.5),
        "side": np.float32(side),
        "offset": np.float32(np.arange(lanes) * lane)[None],
        "scale": np.float32(20),
        "last": np.int64([2]),
        "others": np.zeros((1, lanes, 79), np.float32) - 20,
    }
    nodes = [
        node("Sub", ["image", "empty"], ["d"]),
        node("Abs", ["d"], ["a"]),
        node("ReduceMax", ["a", "channel"], ["m"], keepdims=1),
        node("AveragePool", ["m"], ["p"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Greater", ["p", "least"], ["g"]),
        node("Cast", ["g"], ["f"], to=TensorProto.FLOAT),
        node("Reshape", ["f", "lanes"], ["l"]),
        node("ReduceMax", ["l", "both"], ["any"], keepdims=0),
        node("Sub", ["any", "half"], ["centred"]),
        node("Mul", ["centred", "scale"], ["logit"]),
        node("Unsqueeze", ["logit", "last"], ["person"]),
        node("Concat", ["person", "others"], ["logits"], axis=2),
    ]
    for axis, over in (("x", "rows"), ("y", "columns")):
        # The first and the last of the pixels of a lane that differ.
        nodes += [
            node("ReduceMax", ["l", over], [f"{axis}any"], keepdims=0),
            node("ArgMax", [f"{axis}any"], [f"{axis}f"], axis=2, keepdims=0),
            node(
                "ArgMax",
                [f"{axis}any"],
                [f"{axis}l"],
                axis=2,
                keepdims=0,
                select_last_index=1,
            ),
            node("Cast", [f"{axis}f"], [f"{axis}first"], to=TensorProto.FLOAT),
            node("Cast", [f"{axis}l"], [f"{axis}end"], to=TensorProto.FLOAT),
            node("Add", [f"{axis}end", "one"], [f"{axis}last"]),
            node("Sub", [f"{axis}last", f"{axis}first"], [f"{axis}size"]),
            node("Add", [f"{axis}first", f"{axis}last"], [f"{axis}sum"]),
            node("Mul", [f"{axis}sum", "half"], [f"{axis}mid"]),
        ]
    nodes += [node("Add", ["ymid", "offset"], ["ymoved"])]
    for name in ("xmid", "ymoved", "xsize", "ysize"):
        nodes += [
            node("Div", [name, "side"], [f"{name}share"]),
            node("Unsqueeze", [f"{name}share", "last"], [f"{name}column"]),
        ]
    names = [f"{name}column" for name in ("xmid", "ymoved", "xsize", "ysize")]
    nodes.append(node("Concat", names, ["pred_boxes"], axis=2))
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "street",
        [info("image", TensorProto.FLOAT, [1, 3, side, side])],
        [
            info("logits", TensorProto.FLOAT, [1, lanes, 80]),
            info("pred_boxes", TensorProto.FLOAT, [1, lanes, 4]),
        ],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 8
    onnx.save(model, path)
