"""A person detector in ONNX form, of which the form is known by its outputs."""

import functools
import hashlib
from pathlib import Path

import numpy as np

from mbnet_jax.detection import forms
from mbnet_jax.detection.boxes import Box, inside, suppressed
from mbnet_jax.files import file_size, filename_in_errors
from mbnet_jax.parsing.options import MOST_BYTES
from mbnet_jax.parsing.runtime import is_fixed, one_line, start_session

CONFIDENCE = 0.5
_OVERLAP = 0.65  # of boxes that YOLOX finds, as its evaluation has it
_SIDE = 640  # pixels, of an input that takes any size
_MOST_SIDE = 4096
_FORMS = (
    "one output [1, n, 5 + classes] of YOLOX, or logits [1, n, classes] and boxes "
    "[1, n, 4] of D-FINE and RT-DETR"
)


class Detector:
    """A loaded model that finds persons.

    Attributes:
      form: "yolox" or "detr"; see `forms`.
      size: (height, width) of the input, in pixels.
    """

    def __init__(self, model: Path, confidence: float = CONFIDENCE):
        """Loads the model, onto the GPU if ONNX Runtime can use one, and tries it.

        Args:
          model: the ONNX file, at most 2 GiB.
          confidence: the least probability of a person, 0 to 1.

        Raises:
          ValueError: ONNX Runtime is not installed; or naming the file, if it is no
            model, or of neither form.
          FileNotFoundError: there is no such file.
        """
        if not 0 < file_size(model, "--detect=") <= MOST_BYTES:
            raise ValueError(
                f"--detect={model} is no ONNX file; export the model again"
            )
        self._model, self.confidence = model, confidence
        self._session, inputs, outputs = start_session(model, "finding people")
        expected = inputs[0].shape if inputs else ()
        plane = inputs and inputs[0].type == "tensor(float)" and len(expected) == 4
        if len(inputs) != 1 or not plane or expected[1] != 3:
            raise ValueError(
                f"{model} takes {[(each.name, each.shape) for each in inputs]}; give a "
                "detector whose only input is float images [1, 3, height, width]"
            )
        self._input = inputs[0].name
        self.size = tuple(side if is_fixed(side) else _SIDE for side in expected[2:])
        if max(self.size) > _MOST_SIDE:
            raise ValueError(
                f"{model} takes {self.size} pixels; at most {_MOST_SIDE} a side are "
                "used: export it with a smaller input"
            )
        self.form = "yolox" if len(outputs) == 1 else "detr"
        self(np.zeros((64, 64, 3), np.uint8))

    @functools.cached_property
    def digest(self) -> str:
        """The SHA-256 of the model's file."""
        with filename_in_errors(self._model), self._model.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def settings(self) -> dict:
        """All that its boxes depend on, for JSON."""
        names = ("digest", "form", "size", "confidence")
        return {name: getattr(self, name) for name in names} | {"overlap": _OVERLAP}

    def __call__(self, image: np.ndarray) -> list[Box]:
        """Finds persons in RGB, uint8 [h, w, 3]; most confident first.

        Boxes are cut at the image's borders.

        Raises:
          ValueError: the model fails, or returns what is of neither form.
        """
        height, width = image.shape[:2]
        if self.form == "yolox":
            found = self._run(forms.yolox_input(image, self.size))
            boxes, scores = self._yolox(found, (height, width))
        else:
            found = self._run(forms.detr_input(image, self.size))
            boxes, scores = self._detr(found, (height, width))
        likely = scores >= self.confidence
        boxes, scores = boxes[likely], scores[likely]
        if self.form == "yolox":
            order = suppressed(boxes, scores, _OVERLAP)
        else:
            order = np.argsort(-scores, kind="stable")
        rows = zip(boxes[order].tolist(), scores[order].tolist(), strict=True)
        return inside([Box(*box, score) for box, score in rows], width, height)

    def _run(self, values: np.ndarray) -> list[np.ndarray]:
        try:
            found = self._session.run(None, {self._input: values})
        except Exception as error:  # ONNX Runtime's have no class in common
            raise ValueError(
                f"{self._model} fails on an input of {values.shape} "
                f"({one_line(error)}); export the model again"
            ) from error
        if not all(each.dtype.kind == "f" and each.ndim == 3 for each in found):
            raise self._refusal(found)
        if not all(np.isfinite(each).all() for each in found):
            raise ValueError(
                f"{self._model} returns numbers that are NaN or infinite; export the "
                "model again, in float32"
            )
        return found

    def _yolox(
        self, found: list[np.ndarray], image: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        count, width = found[0].shape[1:]
        if count != forms.yolox_rows(self.size) or width < 6:
            raise self._refusal(found)
        return forms.yolox_boxes(found[0][0], image, self.size)

    def _detr(
        self, found: list[np.ndarray], image: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        # RT-DETR's exports may return hidden states too, after these two.
        logits, boxes = found[:2]
        if logits.shape[:2] != boxes.shape[:2] or boxes.shape[2] != 4:
            raise self._refusal(found)
        return forms.detr_boxes(logits[0], boxes[0], image)

    def _refusal(self, found: list[np.ndarray]) -> ValueError:
        shapes = ", ".join(f"{each.dtype} {[*each.shape]}" for each in found)
        return ValueError(
            f"{self._model} returns {shapes} for an input of {self.size} pixels, not "
            f"{_FORMS}; give such a detector"
        )
