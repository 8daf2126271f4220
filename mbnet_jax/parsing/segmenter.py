"""A segmentation model in ONNX form: what it takes, and images to maps of labels."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mbnet_jax.images import MEAN, resize_image
from mbnet_jax.images import STD as DEVIATION
from mbnet_jax.parsing.maps import LABEL_SETS, check_label_set

LAYOUTS = ("nchw", "nhwc")
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
# The first that ONNX Runtime was built with is used.
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


@dataclasses.dataclass(frozen=True)
class ParserOptions:
    """A segmentation model and what it takes.

    Attributes:
      model: the ONNX file.
      labels: the label set of its classes, of `LABEL_SETS`.
      size: height, width of its input.
      mean, deviation: of RGB in [0, 1], three each.
      layout: of its input and output, "nchw" or "nhwc".
      batch: images at a time, unless the model has its own number.
    """

    model: Path
    labels: str
    size: tuple[int, int] = (512, 512)
    mean: tuple[float, ...] = MEAN
    deviation: tuple[float, ...] = DEVIATION
    layout: str = "nchw"
    batch: int = 8

    def __post_init__(self):
        """Refuses what no model can take, naming the option."""
        check_label_set(self.labels)
        if self.layout not in LAYOUTS:
            raise ValueError(
                f"--layout={self.layout!r} is unknown; known: {', '.join(LAYOUTS)}"
            )
        for name, count in (("size", 2), ("mean", 3), ("deviation", 3)):
            if len(getattr(self, name)) != count:
                raise ValueError(f"--{name} needs {count} numbers, as in 1,2,3")
        if min(*self.size, *self.deviation, self.batch) <= 0:
            raise ValueError("--size, --deviation and --batch must be positive")
        if not self.model.is_file():
            raise FileNotFoundError(f"--model={self.model}: there is no such file")


class Parser:
    """A loaded model: images to maps of labels."""

    def __init__(self, options: ParserOptions):
        """Loads the model, on the GPU where ONNX Runtime has one.

        Raises:
          ValueError: if ONNX Runtime is not installed, or the model takes something
            else than the options say.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise ValueError(
                "making maps needs ONNX Runtime: pip install -r requirements-parse.txt"
            ) from error
        there = onnxruntime.get_available_providers()
        self._session = onnxruntime.InferenceSession(
            str(options.model), providers=[p for p in _PROVIDERS if p in there]
        )
        self.provider = self._session.get_providers()[0]
        taken = self._session.get_inputs()[0]
        shape = (3, *options.size) if options.layout == "nchw" else (*options.size, 3)
        agrees = len(taken.shape) == 4 and all(
            own == given
            for own, given in zip(taken.shape[1:], shape, strict=True)
            if isinstance(own, int)  # others are free
        )
        if not agrees or taken.type not in _TYPES:
            raise ValueError(
                f"{options.model} takes {taken.shape} of {taken.type}, not batches of "
                f"{shape} of float: give its --size and --layout"
            )
        self._input, self._type = taken.name, _TYPES[taken.type]
        own_batch = taken.shape[0]
        self.batch = own_batch if isinstance(own_batch, int) else options.batch
        self._options = options

    def __call__(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Maps uint8 [h, w, 3] images of any sizes to labels, uint8 [h, w].

        Takes `batch` images at most. Logits are enlarged to the image, then compared.

        Raises:
          ValueError: if the model's classes are not as many as the label set's.
        """
        options = self._options
        pixels = np.stack([resize_image(image, options.size) for image in images])
        values = (pixels / 255 - options.mean) / options.deviation
        # The model may want full batches.
        values = np.resize(values, (self.batch, *values.shape[1:]))
        channels_first = options.layout == "nchw"
        if channels_first:
            values = values.transpose(0, 3, 1, 2)
        feed = {self._input: np.ascontiguousarray(values, self._type)}
        logits = self._session.run(None, feed)[0]
        if channels_first and logits.ndim == 4:
            logits = logits.transpose(0, 2, 3, 1)
        self._check_classes(logits)
        return [
            _labels_at(rows.astype(np.float32), image.shape[:2])
            for rows, image in zip(logits[: len(images)], images, strict=True)
        ]

    def _check_classes(self, logits: np.ndarray) -> None:
        options = self._options
        if logits.ndim == 4 and logits.shape[-1] == len(LABEL_SETS[options.labels]):
            return
        sizes = ", ".join(f"{name} {len(rows)}" for name, rows in LABEL_SETS.items())
        raise ValueError(
            f"{options.model} returns {logits.shape} (channels last): no logits of the "
            f"{len(LABEL_SETS[options.labels])} classes of --labels={options.labels}; "
            f"the sets' sizes: {sizes}"
        )


def _labels_at(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The most likely class of each pixel of an image of `size`: uint8 [h, w]."""
    enlarged = cv2.resize(logits, size[::-1], interpolation=cv2.INTER_LINEAR)
    return enlarged.argmax(-1).astype(np.uint8)
