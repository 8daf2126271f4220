"""Human parsing with any segmentation model in ONNX form."""

import functools
import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mbnet_jax.parsing.geometry import labels_from_logits, labels_from_map, to_input
from mbnet_jax.parsing.label_sets import LABEL_SETS
from mbnet_jax.parsing.maker import describe_maker
from mbnet_jax.parsing.options import ParserOptions, check_pixels
from mbnet_jax.parsing.runtime import is_fixed, one_line, start_session

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_LOGITS = (*_TYPES, "tensor(double)")
_LABELS = tuple(
    f"tensor({sign}int{bits})" for sign in ("", "u") for bits in (8, 32, 64)
)


class Fitted(NamedTuple):
    """An image that was fitted into a parser's input.

    Attributes:
      pixels: RGB, uint8 [H, W, 3].
      size: (height, width) that the image had.
    """

    pixels: np.ndarray
    size: tuple[int, int]


class Parser:
    """A loaded model that maps images to labels.

    Attributes:
      provider: ONNX Runtime's name for the device it runs on.
      batch: the most images that a call takes.
      labels: the label set of what it returns, a key of `LABEL_SETS`.
    """

    def __init__(self, options: ParserOptions):
        """Loads the model, onto the GPU if ONNX Runtime can use one, and tries it.

        Raises:
          ValueError: ONNX Runtime is not installed; or naming the file, if it is no
            model, or its input or output is not what the options say.
        """
        self._options, self.labels = options, options.labels
        self._session, inputs, outputs = start_session(options.model)
        self.provider = self._session.get_providers()[0]
        if len(inputs) != 1 or not outputs:
            raise ValueError(
                f"{options.model} has {len(inputs)} inputs and {len(outputs)} outputs; "
                "give a model of one input, the images, and an output of logits or "
                "labels"
            )
        index = options.output if len(outputs) > 1 else 0
        if index >= len(outputs):
            raise ValueError(
                f"{options.model} has {len(outputs)} outputs, no --output={index}; "
                "they count from 0"
            )
        output = outputs[index]
        if inputs[0].type not in _TYPES or output.type not in _LOGITS + _LABELS:
            raise ValueError(
                f"{options.model} maps {inputs[0].type} to {output.type}; give a model "
                "that maps float images to float logits, or to whole labels"
            )
        expected = inputs[0].shape
        size = options.size
        shape = (3, *size) if options.layout == "nchw" else (*size, 3)
        agrees = len(expected) == 4 and all(
            fixed == given
            for fixed, given in zip(expected[1:], shape, strict=True)
            if is_fixed(fixed)  # other axes take any size
        )
        if not agrees:
            raise ValueError(
                f"{options.model} takes {expected}, not batches of {shape}: give its "
                "--size and --layout"
            )
        self._input, self._type = inputs[0].name, _TYPES[inputs[0].type]
        self._output, self._is_map = output.name, output.type in _LABELS
        self.batch = expected[0] if is_fixed(expected[0]) else options.batch
        check_pixels(self.batch, size, f"export {options.model} with a smaller one")
        self([np.zeros((1, 1, 3), np.uint8)])  # before anything is written

    @functools.cached_property
    def maker(self) -> dict:
        """What `maps.json` says of it: the options, and the model's SHA-256."""
        return describe_maker(self._options)

    @functools.cached_property
    def digest(self) -> str:
        """The SHA-256 of all that its labels depend on: the model and the options."""
        known = {name: value for name, value in self.maker.items() if name != "address"}
        text = json.dumps(known, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def __call__(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Parses at most `batch` images.

        Logits are interpolated at the image's pixels, bilinearly, before the most
        likely class is chosen; labels are taken from the nearest pixel.

        Args:
          images: RGB, uint8 [h, w, 3], of any sizes.

        Returns:
          The labels of each image, uint8 [h, w], in the model's label set.

        Raises:
          ValueError: the model fails, or its output is not that of the label set.
        """
        return self.parse([self.fit(image) for image in images])

    def fit(self, image: np.ndarray) -> Fitted:
        """Fits an image, RGB, uint8 [h, w, 3], into the input; threads may do so."""
        options = self._options
        return Fitted(to_input(image, options.size, options.fit), image.shape[:2])

    def parse(self, fitted: Sequence[Fitted]) -> list[np.ndarray]:
        """Does what `__call__` does, for images that were fitted."""
        options = self._options
        values = np.stack([self._normalised(image.pixels) for image in fitted])
        if len(values) < self.batch:  # the model may need full batches
            values = np.resize(values, (self.batch, *values.shape[1:]))
        channels_first = options.layout == "nchw"
        if channels_first:
            values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        found = self._run(values)
        if self._is_map:
            found, back = self._checked_map(found, len(values)), labels_from_map
        else:
            if channels_first and found.ndim == 4:
                found = found.transpose(0, 2, 3, 1)
            self._check_logits(found, len(values))
            found, back = found.astype(np.float32), labels_from_logits
        return [
            back(rows, image.size, options.size, options.fit)
            for rows, image in zip(found[: len(fitted)], fitted, strict=True)
        ]

    def _normalised(self, pixels: np.ndarray) -> np.ndarray:
        options = self._options
        values = ((pixels / 255 - options.mean) / options.std).astype(self._type)
        return values if options.channels == "rgb" else values[..., ::-1]

    def _run(self, values: np.ndarray) -> np.ndarray:
        try:
            return self._session.run([self._output], {self._input: values})[0]
        except Exception as error:  # ONNX Runtime's have no class in common
            raise ValueError(
                f"{self._options.model} fails on an input of {values.shape} "
                f"({one_line(error)}); give another --size, --layout or --batch, or "
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

    def _checked_map(self, labels: np.ndarray, count: int) -> np.ndarray:
        """Labels [count, a, b] of `[count, 1, a, b]` or the like, as uint8."""
        options = self._options
        axis = 1 if options.layout == "nchw" else -1
        if labels.ndim == 4 and labels.shape[axis] == 1:
            labels = labels.squeeze(axis)
        if labels.ndim != 3 or len(labels) != count or not labels.size:
            raise ValueError(
                f"{options.model} returns whole numbers {labels.shape} for {count} "
                "images, not a map of labels of each: [images, height, width], or "
                "with an axis of 1 for the channel"
            )
        classes = len(LABEL_SETS[options.labels])
        lowest, highest = int(labels.min()), int(labels.max())
        if lowest < 0 or highest >= classes:
            raise ValueError(
                f"{options.model} returns the label {lowest if lowest < 0 else highest}"
                f", but --labels={options.labels} has 0 to {classes - 1}; give the "
                "label set of the model"
            )
        return labels.astype(np.uint8)
