"""Human parsing with any segmentation model in ONNX form."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mbnet_jax.images import IMAGENET_MEAN, IMAGENET_STD, resize_image
from mbnet_jax.parsing.label_sets import LABEL_SETS, check_label_set

LAYOUTS = ("nchw", "nhwc")
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
# In order of preference; ONNX Runtime may be built without the first.
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


@dataclasses.dataclass(frozen=True)
class ParserOptions:
    """A segmentation model and the input it expects.

    The defaults are those of SegFormer models.

    Attributes:
      model: the ONNX file.
      labels: the label set of its classes, a key of `LABEL_SETS`.
      size: (height, width) of its input, in pixels.
      mean, std: that normalise RGB in [0, 1], three numbers each.
      layout: of its input and output, "nchw" or "nhwc".
      batch: images per batch, unless the model has a fixed batch size.
    """

    model: Path
    labels: str
    size: tuple[int, int] = (512, 512)
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    layout: str = "nchw"
    batch: int = 8

    def __post_init__(self):
        """Refuses invalid options by name."""
        check_label_set(self.labels)
        if self.layout not in LAYOUTS:
            raise ValueError(
                f"--layout={self.layout!r} is unknown; known: {', '.join(LAYOUTS)}"
            )
        for name, count in (("size", 2), ("mean", 3), ("std", 3)):
            if len(getattr(self, name)) != count:
                raise ValueError(f"--{name} needs {count} numbers, as in 1,2,3")
        if min(*self.size, *self.std, self.batch) <= 0:
            raise ValueError("--size, --std and --batch must be positive")
        if not self.model.is_file():
            raise FileNotFoundError(f"--model={self.model}: no such file")


class Parser:
    """A loaded model that maps images to labels.

    Attributes:
      provider: ONNX Runtime's name for the device it runs on.
      batch: the most images that a call takes.
    """

    def __init__(self, options: ParserOptions):
        """Loads the model, onto the GPU if ONNX Runtime can use one.

        Raises:
          ValueError: ONNX Runtime is not installed, or the model's input is not what
            the options say.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise ValueError(
                "making maps needs ONNX Runtime: pip install -r requirements-parse.txt"
            ) from error
        available = onnxruntime.get_available_providers()
        self._session = onnxruntime.InferenceSession(
            str(options.model), providers=[p for p in _PROVIDERS if p in available]
        )
        self.provider = self._session.get_providers()[0]
        expected = self._session.get_inputs()[0]
        shape = (3, *options.size) if options.layout == "nchw" else (*options.size, 3)
        agrees = len(expected.shape) == 4 and all(
            fixed == given
            for fixed, given in zip(expected.shape[1:], shape, strict=True)
            if isinstance(fixed, int)  # other axes take any size
        )
        if not agrees or expected.type not in _TYPES:
            raise ValueError(
                f"{options.model} takes {expected.shape} of {expected.type}, not "
                f"batches of {shape} of float: give its --size and --layout"
            )
        self._input, self._type = expected.name, _TYPES[expected.type]
        fixed_batch = expected.shape[0]
        self.batch = fixed_batch if isinstance(fixed_batch, int) else options.batch
        self._options = options

    def __call__(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Parses at most `batch` images.

        The logits are resized to the image bilinearly before the most likely class is
        chosen.

        Args:
          images: RGB, uint8 [h, w, 3], of any sizes.

        Returns:
          The labels of each image, uint8 [h, w], in the model's label set.

        Raises:
          ValueError: the model has another number of classes than the label set.
        """
        options = self._options
        pixels = np.stack([resize_image(image, options.size) for image in images])
        values = (pixels / 255 - options.mean) / options.std
        # The model may need full batches.
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
        counts = ", ".join(f"{name} {len(rows)}" for name, rows in LABEL_SETS.items())
        raise ValueError(
            f"{options.model} returns {logits.shape} (channels last), not logits of "
            f"the {len(LABEL_SETS[options.labels])} classes of "
            f"--labels={options.labels}; classes of each set: {counts}"
        )


def _labels_at(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The most likely class of each pixel of an image of `size`: uint8 [h, w]."""
    enlarged = cv2.resize(logits, size[::-1], interpolation=cv2.INTER_LINEAR)
    return enlarged.argmax(-1).astype(np.uint8)
