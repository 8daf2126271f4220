"""Feature rows, wherever they are kept: checked, and read a few at a time."""

import mmap
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Features = np.ndarray | jax.Array

METRICS = ("cosine", "euclidean")

# Rows of greater or smaller length would leave the range of float32 products.
MIN_NORM, MAX_NORM = 1e-15, 1e18


class Piece(NamedTuple):
    """Consecutive rows in one place: those from `start` on, `data` [n, D]."""

    start: int
    data: Features | None  # None: held by another process
    device: jax.Device | None  # None: in the host's memory

    def rows(self, first: int, stop: int) -> Features:
        """The features' rows `first` to `stop`, where they are."""
        first, stop = first - self.start, stop - self.start
        if isinstance(self.data, jax.Array):
            return lax.dynamic_slice_in_dim(self.data, first, stop - first)
        return self.data[first:stop]


def copy_rows(rows: np.ndarray, into: np.ndarray) -> None:
    """Copies rows [n, D] to the first n of [size, D]; the others become zeros."""
    into[: len(rows)] = rows
    into[len(rows) :] = 0
    mapping = file_mapping(rows)
    if mapping is not None:
        # Pages once read would count as this process's memory for good.
        mapping.madvise(mmap.MADV_DONTNEED)


def check_features(name: str, features: Features) -> Features:
    """The features [n, D], n, D > 0, as an array; files and devices stay unread.

    Raises:
      ValueError: they are not real numbers in two dimensions, or empty, or a
        jax.Array that is split along its width.
    """
    if not isinstance(features, jax.Array):
        features = np.asarray(features)
    if (
        not jnp.issubdtype(features.dtype, jnp.floating)
        and features.dtype.kind not in "iu"
    ):
        raise ValueError(f"{name} must hold real numbers, got {features.dtype}")
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(
            f"{name} must be [rows, features] and not empty, "
            f"got shape {list(features.shape)}"
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
    """Both feature arrays, checked, and of one width.

    Raises:
      ValueError: see `check_features`; or the widths differ.
    """
    query, gallery = check_features("query", query), check_features("gallery", gallery)
    if query.shape[1] != gallery.shape[1]:
        raise ValueError(
            f"query and gallery differ in width: {query.shape[1]} and "
            f"{gallery.shape[1]} features"
        )
    return query, gallery


def check_metric(metric: str) -> None:
    """Raises a ValueError unless `metric` is known."""
    if metric not in METRICS:
        raise ValueError(f"metric {metric!r} is unknown; choose from {METRICS}")


def check_norms(
    name: str, norms: np.ndarray, numbers: np.ndarray | range, metric: str
) -> None:
    """Refuses rows by their L2 norms [n]; `numbers` [n] are theirs in the message.

    Raises:
      ValueError: a row is not finite or out of range; or, by cosine, has no direction.
    """
    usable = norms <= MAX_NORM
    if metric == "cosine":
        usable &= norms >= MIN_NORM
    if not usable.all():
        bad = int(np.argmin(usable))
        raise ValueError(
            f"{name} row {numbers[bad]} cannot be compared by {metric} in float32: "
            f"its length is {norms[bad]} (all zeros, NaN, infinity, or out of range)"
        )


def pieces_of(features: Features) -> list[Piece]:
    """The places that rows are kept in, by ascending row; together they are all."""
    if not isinstance(features, jax.Array):
        return [Piece(0, features, None)]
    local = {shard.device: shard.data for shard in features.addressable_shards}
    pieces = {}
    places = features.sharding.devices_indices_map(features.shape)
    for device, (rows, _) in places.items():
        start = rows.indices(len(features))[0]
        known = pieces.get(start)
        if known is None or known.data is None:  # of copies, one at hand
            pieces[start] = Piece(start, _plain(local.get(device)), device)
    return [pieces[start] for start in sorted(pieces)]


def _plain(data: jax.Array | None) -> Features | None:
    """On a CPU the array's own memory as a NumPy array, which is sliced for free."""
    if data is not None and data.device.platform == "cpu":
        return np.asarray(data)
    return data


def take_rows(
    features: Features, indices: np.ndarray, size: int | None = None
) -> np.ndarray:
    """Rows `indices` [n] of the features [N, D], as float32 [size or n, D].

    Rows past n are zeros.

    Raises:
      ValueError: some are on devices of another process.
    """
    rows = np.zeros((size or len(indices), features.shape[1]), np.float32)
    indices = np.asarray(indices)
    pieces = pieces_of(features)
    owner = np.searchsorted([p.start for p in pieces], indices, side="right") - 1
    for number in np.unique(owner):
        piece, here = pieces[number], np.flatnonzero(owner == number)
        if piece.data is None:
            raise ValueError(
                "rows of a query are on another process's devices; give queries that "
                "every process has, e.g. by multihost_utils.process_allgather"
            )
        rows[here] = np.asarray(piece.data[indices[here] - piece.start])
    return rows


def file_mapping(rows: np.ndarray) -> mmap.mmap | None:
    """The file mapping that the rows are a view of, if it can be read again."""
    base, memmap = rows, None
    while isinstance(base, np.ndarray):
        memmap = base if isinstance(base, np.memmap) else memmap
        base = base.base
    # Of a copy-on-write mapping the pages may hold what the file does not.
    if memmap is None or memmap.mode == "c" or not isinstance(base, mmap.mmap):
        return None
    return base if hasattr(base, "madvise") else None


def blocks_of(piece: Piece, stop: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Cuts a piece that ends at row `stop` into blocks: (first, fresh, stop).

    A block is the `size` rows from `first` on, of which those from `fresh` to `stop`
    are its own: the last one reaches back into the one before it rather than be
    padded; only a piece smaller than one block is.
    """
    for fresh in range(piece.start, stop, size):
        yield max(min(fresh, stop - size), piece.start), fresh, min(fresh + size, stop)
