"""Detectors by name: a preset, whose file is downloaded, or an ONNX file."""

import os
from pathlib import Path

from mbnet_jax.detection.detector import CONFIDENCE, Detector
from mbnet_jax.detection.presets import PRESETS
from mbnet_jax.files import printable
from mbnet_jax.parsing.download import download
from mbnet_jax.parsing.runtime import import_runtime
from mbnet_jax.sources import did_you_mean


def load_detector(model: str | os.PathLike, confidence: float = CONFIDENCE) -> Detector:
    """Loads a person detector.

    Args:
      model: the name of a preset, such as "dfine", whose file is downloaded once into
        the Hugging Face hub's cache; or the path of an ONNX file.
      confidence: the least probability of a person, 0 to 1.

    Raises:
      ValueError: ONNX Runtime is not installed, or the file is no detector.
      FileNotFoundError: there is no such file.
      ConnectionError: it cannot be downloaded; says what to do without a network.
    """
    if model in PRESETS:
        import_runtime("finding people")  # before a download
        path, _ = download(PRESETS[model], None, None, "give --detect FILE")
        return Detector(path, confidence)
    path = Path(model)
    if not path.exists():
        raise FileNotFoundError(
            f"--detect={printable(model)} is neither a preset ({', '.join(PRESETS)}) "
            f"nor an ONNX file{did_you_mean(path)}; give one of these"
        )
    return Detector(path, confidence)
