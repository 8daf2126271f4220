"""Narrower embeddings: the principal components of training persons' embeddings."""

import hashlib
import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors
import safetensors.numpy
import scipy.linalg

from mbnet_jax.files import write_whole
from mbnet_jax.runs.safetensors_file import read_arrays

_MOST_WIDE = 1 << 20  # numbers of an embedding
_LEAST = 1e-12  # of a variance, relative to the largest: 0 but for rounding
_REMEDY = "write it again with mbnet-narrow"


class Narrowing(NamedTuple):
    """x -> (x - mean) @ components, divided by its length.

    Whitened components are divided by the standard deviation of what they yield.

    Attributes:
      mean: float32 [d].
      components: float32 [d, w]; orthogonal columns, the largest variance first.
      source: what `Embedder.origin` returned for the embeddings it was fitted on.
      whitened: whether they are whitened.
      images: how many images it was fitted on.
    """

    mean: np.ndarray
    components: np.ndarray
    source: str
    whitened: bool
    images: int

    @property
    def width(self) -> int:
        """The number w of an embedding that it yields."""
        return self.components.shape[1]

    @property
    def digest(self) -> str:
        """16 letters that identify it."""
        digest = hashlib.sha256(self.mean.tobytes())
        digest.update(self.components.tobytes())
        return digest.hexdigest()[:16]

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Narrows float32 [n, d]: float32 [n, w], rows of length 1."""
        narrow = (rows - self.mean) @ self.components
        length = np.linalg.norm(narrow, axis=1, keepdims=True)
        return narrow / np.maximum(length, np.finfo(np.float32).tiny)

    def check_source(self, digest: str, width: int) -> None:
        """Refuses embeddings other than those it was fitted on.

        Args:
          digest: what `Embedder.origin` returned.
          width: of the embeddings.

        Raises:
          ValueError: naming the difference.
        """
        if len(self.mean) != width:
            raise ValueError(
                f"the narrowing is of embeddings of width {len(self.mean)}, these have "
                f"{width}: it is another network's or of other branches; {_REMEDY}"
            )
        if self.source != digest:
            raise ValueError(
                "the narrowing is of another network, or of other branches or "
                f"settings; {_REMEDY}"
            )


def fit(rows: np.ndarray, width: int, whiten: bool, source: str = "") -> Narrowing:
    """Fits the principal components of embeddings, float32 [n, d].

    Args:
      rows: of training persons, never of those that are tested.
      width: how many components to keep.
      whiten: whether to give them equal variance.
      source: as in `Narrowing`.

    Raises:
      ValueError: if the rows have no so many components.
    """
    count, wide = rows.shape
    mean = rows.mean(axis=0, dtype=np.float64)
    centred = rows - mean
    # The smaller of the two products has the same eigenvalues.
    few = count < wide
    square = centred @ centred.T if few else centred.T @ centred
    most = min(wide, count - 1)
    if not 1 <= width <= most:
        raise ValueError(
            f"a width of {width} is impossible: {count} images with embeddings of "
            f"width {wide} have from 1 to {most} components"
        )
    last = len(square) - 1
    values, vectors = scipy.linalg.eigh(
        square, subset_by_index=(last - width + 1, last), overwrite_a=True
    )
    values, vectors = values[::-1], vectors[:, ::-1]
    if values[-1] <= _LEAST * values[0]:
        usable = int((values > _LEAST * values[0]).sum())
        raise ValueError(
            f"a width of {width} is impossible: the embeddings of {count} images vary "
            f"in {usable} directions; give a smaller one"
        )
    components = centred.T @ (vectors / np.sqrt(values)) if few else vectors
    if whiten:
        components = components / np.sqrt(values / (count - 1))
    return Narrowing(
        mean.astype(np.float32), components.astype(np.float32), source, whiten, count
    )


def save(narrowing: Narrowing, path: Path) -> None:
    """Writes a safetensors file, completely or not at all."""
    about = {
        "source": narrowing.source,
        "whitened": narrowing.whitened,
        "images": narrowing.images,
        "shape": narrowing.components.shape,
    }
    arrays = {
        "mean": narrowing.mean,
        "components": np.ascontiguousarray(narrowing.components),
    }
    data = safetensors.numpy.save(arrays, {"narrowing": json.dumps(about)})
    write_whole(path, data)


def read(path: Path) -> Narrowing:
    """Reads what `save` wrote.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: naming it, if it is something else.
    """
    if not os.path.lexists(path):
        raise FileNotFoundError(f"no such file: {path}; {_REMEDY}")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            about = json.loads((file.metadata() or {})["narrowing"])
        wide, width = (int(size) for size in about["shape"])
        source, images = str(about["source"]), int(about["images"])
        whitened = bool(about["whitened"])
        if not 0 < width <= wide <= _MOST_WIDE:
            raise ValueError(f"its shape is {wide} x {width}")
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise ValueError(f"{path} is no narrowing ({error}); {_REMEDY}") from error
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is no narrowing ({error}); {_REMEDY}") from error
    arrays = read_arrays(
        path,
        {"mean": ("float32", (wide,)), "components": ("float32", (wide, width))},
    )
    return Narrowing(arrays["mean"], arrays["components"], source, whitened, images)
