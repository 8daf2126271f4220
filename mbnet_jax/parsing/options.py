"""The options of `mbnet-parse`: a segmentation model and its input."""

import dataclasses
from pathlib import Path

from mbnet_jax import schema
from mbnet_jax.files import file_size
from mbnet_jax.images import IMAGENET_MEAN, IMAGENET_STD
from mbnet_jax.parsing.geometry import FITS
from mbnet_jax.parsing.label_sets import LABEL_SETS

# What the options may be; also in the file that describes the maps.
OPTIONS = {
    "labels": schema.choice(None, *LABEL_SETS),
    "size": schema.several(None, schema.pixels(), 2, 2, repeated=True),
    "mean": schema.several(None, schema.real(None, -1e3, 1e3), 3, 3, repeated=True),
    "std": schema.several(None, schema.real(None, 1e-3, 1e3), 3, 3, repeated=True),
    "layout": schema.choice(None, "nchw", "nhwc"),
    "channels": schema.choice(None, "rgb", "bgr"),
    "fit": schema.choice(None, *FITS),
    "output": schema.whole(None, 0, 15),
}
_BATCH = {"batch": schema.whole(8, 1, 1024)}
_MOST_PIXELS = 1 << 26  # of a batch: 0.8 GB as the model takes them
MOST_BYTES = 2 << 30  # of a protocol buffer, which an ONNX file is


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
      channels: the order of the colours in its input, "rgb" or "bgr".
      fit: how an image is fitted into its input, one of `geometry.FITS`.
      output: which of its outputs has the classes, from 0; an only output always does.
      batch: images per batch, unless the model has a fixed batch size.
      address: where the file was downloaded from; "" for a user's own file.
    """

    model: Path
    labels: str
    size: tuple[int, int] = (512, 512)
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    layout: str = "nchw"
    channels: str = "rgb"
    fit: str = "stretch"
    output: int = 0
    batch: int = 8
    address: str = ""

    def __post_init__(self):
        """Refuses invalid options by name.

        Raises:
          ValueError: naming each option that is wrong, or the model's file.
          FileNotFoundError: if there is no such file.
          OSError: if its status cannot be read.
        """
        fields = OPTIONS | _BATCH
        values = {name: getattr(self, name) for name in fields}
        schema.check(values, fields, "the parser", "--")
        check_pixels(self.batch, self.size, f"--batch={self.batch}: lower it")
        _check_file(self.model)


def check_pixels(batch: int, size: tuple[int, int], remedy: str) -> None:
    """Refuses a batch that would fill the memory."""
    if batch * size[0] * size[1] > _MOST_PIXELS:
        raise ValueError(
            f"a batch of {batch} images of {size[0]}x{size[1]} pixels is too large, at "
            f"most {_MOST_PIXELS:,} pixels in all; {remedy}"
        )


def _check_file(path: Path) -> None:
    if not isinstance(path, Path):
        raise ValueError(f"--model={path!r} must be a path")
    size = file_size(path, "--model=")
    if not size:
        raise ValueError(f"--model={path} is empty; export the model again")
    if size > MOST_BYTES:
        raise ValueError(
            f"--model={path} has {size:,} bytes, an ONNX file at most "
            f"{MOST_BYTES:,}; export the model again"
        )
