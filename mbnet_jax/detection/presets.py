"""Public person detectors: where the ONNX file of each is.

A preset is a row of `PRESETS`. Revision, checksum and size of a file were read from
public records; a download that differs from them is refused. All of them were trained
on COCO, whose class 0 is a person.
"""

from mbnet_jax.parsing.presets import Source


def _dfine(size: str, revision: str, sha256: str, count: int) -> Source:
    """An export of D-FINE (Peng et al., ICLR 2025)."""
    return Source(
        f"onnx-community/dfine_{size}_coco-ONNX",
        "model",
        "onnx/model.onnx",
        revision,
        sha256,
        count,
        "its card says Apache-2.0, as does D-FINE's repository",
    )


PRESETS = {
    "dfine": _dfine(
        "s",
        "a3cf03147a9b86c78475139115c8ac142577352d",
        "cd8a49a945feda6d28c6304ae8ae85c2759ba1d78a5a83a22c5ce8db82ef7238",
        41_535_197,
    ),
    "dfine-nano": _dfine(
        "n",
        "380d2839c327efaf65dd0fe0c2c10ab7fadd5473",
        "0f684f409618ee8a822410e754a29caa817d1aa16283ce89cad936d0a48e2f35",
        15_258_358,
    ),
    # YOLOX-s (Ge et al., 2021).
    "yolox": Source(
        "opencv/object_detection_yolox",
        "model",
        "object_detection_yolox_2022nov.onnx",
        "78c368f74ce73ee28fc7a1be418a598c71b58b52",
        "c5c2d13e59ae883e6af3b45daea64af4833a4951c92d116ec270d9ddbe998063",
        35_858_002,
        "its card says Apache-2.0, as does YOLOX's repository",
    ),
}
