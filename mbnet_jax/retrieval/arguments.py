"""Checks of the arguments that the public functions share.

Each error is a ValueError that names the argument, what it must be, and what it is.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from mbnet_jax.refusals import shown

Features = np.ndarray | jax.Array

METRICS = ("cosine", "euclidean")
DTYPES = ("float32", "bfloat16")

# Indices are int32. A block has at least 64 rows: at this width, 256 MB.
MAX_ROWS, MAX_WIDTH = 2**31 - 1, 2**20
MAX_RANKS = 1_000_000


def array_of(name: str, values: Any) -> np.ndarray:
    """Returns `np.asarray(values)`.

    Raises:
      ValueError: the values make no array, or some of them are masked.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(f"{name} has masked entries; remove or fill them")
    try:
        return np.asarray(values)
    # Anything with an `__array__` of its own may be given.
    except Exception as error:
        raise ValueError(
            f"{name} must be an array, got {shown(values)}: {error}"
        ) from error


def check_features(name: str, features: Features) -> Features:
    """Returns the features [n, D] as an array. Reads no file and no device.

    Raises:
      ValueError: they are not real numbers in two dimensions, or are empty, or are a
        jax.Array that is traced, deleted, or split along its width.
    """
    if isinstance(features, jax.core.Tracer):
        raise ValueError(f"{name} is traced; call this function outside of jax.jit")
    if not isinstance(features, jax.Array):
        features = array_of(name, features)
    elif features.is_deleted():
        raise ValueError(f"{name} is a deleted jax.Array; give one that is in use")
    dtype = features.dtype  # that of random keys has no kind
    if not (
        jnp.issubdtype(dtype, jnp.floating) or getattr(dtype, "kind", "") in ("i", "u")
    ):
        raise ValueError(f"{name} must hold real numbers, got {shown(features)}")
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(
            f"{name} must be [rows, features] and not empty, "
            f"got shape {list(features.shape)}"
        )
    if features.shape[0] > MAX_ROWS or features.shape[1] > MAX_WIDTH:
        raise ValueError(
            f"{name} has shape {list(features.shape)}; at most {MAX_ROWS:,} rows "
            f"and {MAX_WIDTH:,} features are taken"
        )
    if isinstance(features, jax.Array):
        for _, columns in features.sharding.devices_indices_map(
            features.shape
        ).values():
            if columns.indices(features.shape[1])[:2] != (0, features.shape[1]):
                raise ValueError(
                    f"{name} is split along its width over devices; split the rows"
                )
    return features


def check_pair(query: Features, gallery: Features) -> tuple[Features, Features]:
    """Checks both feature arrays, and that their widths agree.

    Raises:
      ValueError: see `check_features`; or the widths differ.
    """
    query, gallery = check_features("query", query), check_features("gallery", gallery)
    if query.shape[1] != gallery.shape[1]:
        raise ValueError(
            f"query and gallery differ in width: {query.shape[1]} and "
            f"{gallery.shape[1]} features; give embeddings of one kind"
        )
    return query, gallery


def is_whole(value: Any) -> bool:
    """Returns whether a value is a whole number; True and 1.0 are not."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_count(name: str, value: int, most: int, of: str) -> int:
    """Returns a number of things, as an int.

    Args:
      name: of the argument.
      value: the number.
      most: the greatest number.
      of: what there are `most` of, for the message.

    Raises:
      ValueError: it is not a whole number from 1 to `most`.
    """
    if not is_whole(value) or not 1 <= value <= most:
        raise ValueError(
            f"{name} must be a whole number from 1 to the {most} {of}, "
            f"got {shown(value)}"
        )
    return int(value)


def check_share(name: str, value: float) -> float:
    """Returns a number in 0..1, as a float.

    Raises:
      ValueError: it is not.
    """
    number = isinstance(value, int | float | np.integer | np.floating)
    if not number or isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1, got {shown(value)}")
    return float(value)


def check_ranks(ranks: Sequence[int]) -> tuple[int, ...]:
    """Returns the k of a CMC, in any order.

    Raises:
      ValueError: they are not a sequence of whole numbers from 1, or too many.
    """
    sequence = isinstance(ranks, Sequence) and not isinstance(ranks, str | bytes)
    if isinstance(ranks, np.ndarray):
        sequence = ranks.ndim == 1
    first = [*itertools.islice(ranks, MAX_RANKS + 1)] if sequence else []
    if len(first) > MAX_RANKS:
        raise ValueError(
            f"ranks has more than {MAX_RANKS:,} entries; give at most so many"
        )
    if not first or not all(is_whole(k) and k >= 1 for k in first):
        raise ValueError(
            f"ranks must be whole numbers from 1, as in (1, 5, 10), got {shown(ranks)}"
        )
    return tuple(map(int, first))


def check_block_rows(block_rows: tuple[int | None, int | None]) -> tuple:
    """Returns the most rows of a query and of a gallery block.

    Raises:
      ValueError: they are not two whole numbers from 1, or None.
    """
    pair = isinstance(block_rows, tuple | list) and len(block_rows) == 2
    if not pair or not all(
        rows is None or (is_whole(rows) and rows >= 1) for rows in block_rows
    ):
        raise ValueError(
            "block_rows must be two whole numbers that are at least 1, or None, "
            f"got {shown(block_rows)}"
        )
    return tuple(None if rows is None else int(rows) for rows in block_rows)


def check_metric(metric: str) -> None:
    """Raises a ValueError unless `metric` is known."""
    if not isinstance(metric, str) or metric not in METRICS:
        raise ValueError(f"metric {shown(metric)} is unknown; choose from {METRICS}")


def check_dtype(dtype: str) -> jnp.dtype:
    """Returns the dtype in which features are multiplied.

    Raises:
      ValueError: it is neither float32 nor bfloat16.
    """
    try:
        found = jnp.dtype(dtype)
    except (TypeError, ValueError):
        found = None
    if found is None or found.name not in DTYPES:
        raise ValueError(f"dtype {shown(dtype)} is unknown; choose from {DTYPES}")
    return found


def check_mesh(mesh: Mesh | None) -> None:
    """Raises a ValueError unless `mesh` is a mesh of devices or None."""
    if mesh is not None and (not isinstance(mesh, Mesh) or not mesh.devices.size):
        raise ValueError(
            f"mesh must be a jax.sharding.Mesh of devices, or None, got {shown(mesh)}"
        )
