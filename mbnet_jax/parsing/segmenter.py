"""Human parsing with any segmentation model in ONNX form."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from mbnet_jax.images import resize_image
from mbnet_jax.parsing.label_sets import LABEL_SETS
from mbnet_jax.parsing.options import ParserOptions, check_pixels

# Up to this size of an image, the logits of all classes are enlarged at once.
_LARGE = 1 << 22
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_LOGITS = (*_TYPES, "tensor(double)")
# In order of preference; ONNX Runtime may be built without the first.
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


class Parser:
    """A loaded model that maps images to labels.

    Attributes:
      provider: ONNX Runtime's name for the device it runs on.
      batch: the most images that a call takes.
    """

    def __init__(self, options: ParserOptions):
        """Loads the model, onto the GPU if ONNX Runtime can use one, and tries it.

        Raises:
          ValueError: ONNX Runtime is not installed; or naming the file, if it is no
            model, or its input or output is not what the options say.
        """
        self._options = options
        self._session, inputs, outputs = _session(options.model)
        self.provider = self._session.get_providers()[0]
        if len(inputs) != 1 or not outputs:
            raise ValueError(
                f"{options.model} has {len(inputs)} inputs and {len(outputs)} outputs; "
                "give a model of one input, the images, whose first output is the "
                "logits"
            )
        if inputs[0].type not in _TYPES or outputs[0].type not in _LOGITS:
            raise ValueError(
                f"{options.model} maps {inputs[0].type} to {outputs[0].type}; give a "
                "model that maps float images to float logits"
            )
        expected = inputs[0].shape
        size = options.size
        shape = (3, *size) if options.layout == "nchw" else (*size, 3)
        agrees = len(expected) == 4 and all(
            fixed == given
            for fixed, given in zip(expected[1:], shape, strict=True)
            if _is_fixed(fixed)  # other axes take any size
        )
        if not agrees:
            raise ValueError(
                f"{options.model} takes {expected}, not batches of {shape}: give its "
                "--size and --layout"
            )
        self._input, self._type = inputs[0].name, _TYPES[inputs[0].type]
        self._output = outputs[0].name
        self.batch = expected[0] if _is_fixed(expected[0]) else options.batch
        check_pixels(self.batch, size, f"export {options.model} with a smaller one")
        self([np.zeros((1, 1, 3), np.uint8)])  # before anything is written

    def __call__(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Parses at most `batch` images.

        The logits are resized to the image bilinearly before the most likely class is
        chosen.

        Args:
          images: RGB, uint8 [h, w, 3], of any sizes.

        Returns:
          The labels of each image, uint8 [h, w], in the model's label set.

        Raises:
          ValueError: the model fails, or its output is not that of the label set.
        """
        options = self._options
        values = np.stack([self._normalised(image) for image in images])
        if len(values) < self.batch:  # the model may need full batches
            values = np.resize(values, (self.batch, *values.shape[1:]))
        channels_first = options.layout == "nchw"
        if channels_first:
            values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        logits = self._run(values)
        if channels_first and logits.ndim == 4:
            logits = logits.transpose(0, 2, 3, 1)
        self._check_logits(logits, len(values))
        return [
            _labels_at(rows.astype(np.float32), image.shape[:2])
            for rows, image in zip(logits[: len(images)], images, strict=True)
        ]

    def _normalised(self, image: np.ndarray) -> np.ndarray:
        options = self._options
        pixels = resize_image(image, options.size)
        return ((pixels / 255 - options.mean) / options.std).astype(self._type)

    def _run(self, values: np.ndarray) -> np.ndarray:
        try:
            return self._session.run([self._output], {self._input: values})[0]
        except Exception as error:  # ONNX Runtime's have no class in common
            raise ValueError(
                f"{self._options.model} fails on an input of {values.shape} "
                f"({_line(error)}); give another --size, --layout or --batch, or "
                "export the model again"
            ) from error

    def _check_logits(self, logits: np.ndarray, count: int) -> None:
        options = self._options
        classes = len(LABEL_SETS[options.labels])
        fits = logits.ndim == 4 and logits.shape[-1] == classes and logits.size
        if not fits or len(logits) != count:
            counts = (f"{name} {len(rows)}" for name, rows in LABEL_SETS.items())
            raise ValueError(
                f"{options.model} returns {logits.shape} (channels last) for {count} "
                f"images, not logits of the {classes} classes of "
                f"--labels={options.labels}; classes of each set: {', '.join(counts)}"
            )
        if not np.isfinite(logits).all():
            raise ValueError(
                f"{options.model} returns logits that are NaN or infinite; check "
                "--mean and --std, or export the model again, in float32"
            )


class _Value(NamedTuple):
    """An input or output; names and None stand for axes of any size."""

    name: str
    type: str
    shape: Sequence[int | str | None]


def _session(model: Path) -> tuple[Any, Sequence[_Value], Sequence[_Value]]:
    """ONNX Runtime's session of a model's file, its inputs and its outputs."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError(
            "making maps needs ONNX Runtime: pip install -r requirements-parse.txt"
        ) from error
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # errors are raised; it would print them too
    available = onnxruntime.get_available_providers()
    providers = [name for name in _PROVIDERS if name in available]
    try:
        session = onnxruntime.InferenceSession(
            str(model),
            settings,
            providers=providers,
            enable_fallback=len(providers) > 1,  # from GPU to CPU, and says so
        )
        inputs, outputs = session.get_inputs(), session.get_outputs()
        # Names that are no text raise only when they are read.
        found = [_Value(v.name, v.type, v.shape) for v in inputs + outputs]
        return session, found[: len(inputs)], found[len(inputs) :]
    except Exception as error:  # ONNX Runtime's have no class in common
        raise ValueError(
            f"{model} cannot be loaded as an ONNX model ({_line(error)}); export the "
            "model again"
        ) from error


def _is_fixed(axis: int | str | None) -> bool:
    """Whether an axis has a size; -1 and a name stand for any."""
    return isinstance(axis, int) and axis > 0


def _line(error: Exception) -> str:
    """The first 300 characters of a message, in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _labels_at(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The most likely class of each pixel of an image of `size`: uint8 [h, w]."""
    if size[0] * size[1] <= _LARGE:
        enlarged = cv2.resize(logits, size[::-1], interpolation=cv2.INTER_LINEAR)
        return enlarged.argmax(-1).astype(np.uint8)
    # Class by class, which needs a tenth of the memory.
    best = np.full(size, -np.inf, np.float32)
    labels = np.zeros(size, np.uint8)
    for label, plane in enumerate(np.moveaxis(logits, -1, 0)):
        plane = np.ascontiguousarray(plane)
        enlarged = cv2.resize(plane, size[::-1], interpolation=cv2.INTER_LINEAR)
        higher = enlarged > best
        labels[higher] = label
        np.copyto(best, enlarged, where=higher)
    return labels
