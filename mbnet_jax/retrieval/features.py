"""Feature rows in host memory, in files and on devices: read in parts."""

import mmap
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from jax import lax

from mbnet_jax.retrieval.arguments import Features

# Rows of greater or smaller length would leave the range of float32 products.
MIN_NORM, MAX_NORM = 1e-15, 1e18

# Bytes. JAX copies an array that starts elsewhere before a CPU computes with it.
ALIGNMENT = 64


class Piece(NamedTuple):
    """Consecutive feature rows in one memory: `data` [n, D], from row `start` on."""

    start: int
    data: Features | None  # None: held by another process
    device: jax.Device | None  # None: in host memory

    def rows(self, first: int, stop: int) -> Features:
        """Rows `first` to `stop` of the features, left where they are."""
        first, stop = first - self.start, stop - self.start
        if isinstance(self.data, jax.Array):
            return lax.dynamic_slice_in_dim(self.data, first, stop - first)
        return self.data[first:stop]


def check_norms(
    name: str, norms: np.ndarray, indices: np.ndarray | range, metric: str
) -> None:
    """Rejects rows that cannot be compared, by their L2 norms [n].

    Args:
      name: what the error message calls the features.
      norms: one per row.
      indices: the rows' indices [n] for the error message.
      metric: "cosine" or "euclidean".

    Raises:
      ValueError: a row is not finite or out of range, or is zero under cosine.
    """
    usable = norms <= MAX_NORM
    if metric == "cosine":
        usable &= norms >= MIN_NORM
    if not usable.all():
        bad = int(np.argmin(usable))
        raise ValueError(
            f"{name} row {indices[bad]} cannot be compared by {metric} in float32: "
            f"its length is {norms[bad]} (all zeros, NaN, infinity, or out of range); "
            "correct or leave out the row"
        )


def pieces_of(features: Features) -> list[Piece]:
    """Returns the features' pieces by ascending row; together they hold every row."""
    if not isinstance(features, jax.Array):
        return [Piece(0, features, None)]
    local = {shard.device: shard.data for shard in features.addressable_shards}
    pieces = {}
    shards = features.sharding.devices_indices_map(features.shape)
    for device, (rows, _) in shards.items():
        start = rows.indices(len(features))[0]
        known = pieces.get(start)
        if known is None or known.data is None:  # prefers a copy in this process
            pieces[start] = Piece(start, _plain(local.get(device)), device)
    return [pieces[start] for start in sorted(pieces)]


def _plain(data: jax.Array | None) -> Features | None:
    """On a CPU returns the array's own memory as a NumPy array: slices cost nothing."""
    if data is not None and data.device.platform == "cpu":
        return np.asarray(data)
    return data


def blocks_of(piece: Piece, stop: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Cuts a piece that ends at row `stop` into blocks: yields (first, fresh, stop).

    A block is the `size` rows from `first` on. Rows `fresh` to `stop` belong to it
    alone. The last block overlaps the one before rather than being padded; only a
    piece smaller than one block is padded.
    """
    for fresh in range(piece.start, stop, size):
        yield max(min(fresh, stop - size), piece.start), fresh, min(fresh + size, stop)


def take_rows(
    features: Features, indices: np.ndarray, size: int | None = None
) -> np.ndarray:
    """Returns rows `indices` [n] of the features [N, D], float32 [size or n, D].

    Rows past n are zeros.

    Raises:
      ValueError: a row is on a device of another process.
    """
    rows = np.zeros((size or len(indices), features.shape[1]), np.float32)
    indices = np.asarray(indices)
    pieces = pieces_of(features)
    owner = np.searchsorted([p.start for p in pieces], indices, side="right") - 1
    for number in np.unique(owner):
        piece, here = pieces[number], np.flatnonzero(owner == number)
        if piece.data is None:
            raise ValueError(
                "query rows are on devices of another process; give each process all "
                "queries, e.g. with multihost_utils.process_allgather"
            )
        with np.errstate(over="ignore"):  # too large for float32: see `check_norms`
            rows[here] = np.asarray(piece.data[indices[here] - piece.start])
    return rows


def copy_rows(rows: np.ndarray, into: np.ndarray) -> None:
    """Copies rows [n, D] to the first n of `into` [size, D], and zeros the rest."""
    with np.errstate(over="ignore"):  # too large for float32: see `check_norms`
        into[: len(rows)] = rows
    into[len(rows) :] = 0
    mapping = file_mapping(rows)
    if mapping is not None:
        # Otherwise all pages read so far would count as this process's memory.
        mapping.madvise(mmap.MADV_DONTNEED)


def file_mapping(rows: np.ndarray) -> mmap.mmap | None:
    """Returns the file mapping that `rows` is a view of, if it can be read again."""
    base, memmap = rows, None
    while isinstance(base, np.ndarray):
        memmap = base if isinstance(base, np.memmap) else memmap
        base = base.base
    # Pages of a copy-on-write mapping may differ from the file.
    if memmap is None or memmap.mode == "c" or not isinstance(base, mmap.mmap):
        return None
    return base if hasattr(base, "madvise") else None


def aligned(shape: tuple[int, ...]) -> np.ndarray:
    """Returns an uninitialised float32 array that a CPU can use without a copy."""
    size = 4 * int(np.prod(shape))
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(np.float32).reshape(shape)


def is_aligned(array: np.ndarray) -> bool:
    """Returns whether a CPU can use the array as float32 without a copy."""
    contiguous = array.flags.c_contiguous and array.dtype == np.float32
    return contiguous and array.ctypes.data % ALIGNMENT == 0
