"""Blocks of features on the devices of a mesh, all of one shape.

A block of queries is on every device; each device has a gallery block of its own.
The shape of a product decides the order in which it is added up, hence its last
bit. Were shapes to differ within a call, or from one number of devices to another,
an image would not tie with its own duplicate, and counts would differ.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from mbnet_jax.retrieval.features import (
    Features,
    Piece,
    blocks_of,
    check_norms,
    pieces_of,
    take_rows,
)
from mbnet_jax.retrieval.placing import SHARDED, WHOLE, put

# Most rows of a block, and most bytes of a gallery block: memory that is freed and
# taken again in pieces of this size stays with the process.
QUERY_ROWS, GALLERY_ROWS, GALLERY_BYTES = 512, 2048, 8 << 20
LEAST_ROWS = 64

# Gallery blocks of up to this many bytes stay on each accelerator. In a CPU's memory
# a copy of what is there already would gain nothing.
RESIDENT_BYTES = 2 << 30


class QueryBlock(NamedTuple):
    """B queries on every device."""

    rows_BxD: jax.Array
    norm_B: jax.Array  # float32, L2


class GalleryBlock(NamedTuple):
    """G gallery rows on each of n devices, from gallery index `start` on.

    Of these, indices `fresh` to `stop` are the block's own; the others belong to
    another block, or are padding.
    """

    rows_nGxD: jax.Array
    norm_nG: jax.Array  # float32, L2
    start_n: jax.Array  # int32, as the next two
    fresh_n: jax.Array
    stop_n: jax.Array


def power_of_two(number: int, least: int = 1) -> int:
    """The least power of two that is not below `number` and `least`.

    Few sizes mean few compilations.
    """
    return max(least, 1 << (max(number, 1) - 1).bit_length())


def query_rows(num_queries: int, most: int | None) -> int:
    """Rows of a query block."""
    return min(power_of_two(num_queries, 8), power_of_two(most or QUERY_ROWS, 8))


def gallery_rows(num_gallery: int, width: int, most: int | None) -> int:
    """Rows of a gallery block; not a function of the number of devices."""
    if most is None:
        fitting = GALLERY_BYTES // (4 * width)
        most = min(GALLERY_ROWS, 1 << max(fitting.bit_length() - 1, 0))
    return min(power_of_two(num_gallery, LEAST_ROWS), power_of_two(most, LEAST_ROWS))


class Gallery:
    """A gallery in steps: in each, every device of the mesh has one block.

    Attributes:
      own: for each step, int [n, 3]: first, fresh and stop index of each device's
        block; (0, 0, 0) for a device that has none left.
      block_rows: G.
      width: D.
      mesh, metric: as given.
    """

    def __init__(
        self,
        features: Features,
        mesh: Mesh,
        metric: str,
        dtype: jnp.dtype,
        most_rows: int | None = None,
    ):
        """Takes checked features; `dtype` is that of the products' factors."""
        self.block_rows = gallery_rows(*features.shape, most_rows)
        self.width = features.shape[1]
        self.mesh, self.metric, self._dtype = mesh, metric, dtype
        self._placed = self._deal(features)
        self.own = [
            np.array([own for _, own in lanes], np.int32) for lanes in self._placed
        ]
        self._checked: set[int] = set()
        self._known: dict[int, tuple[jax.Array, ...]] = {}  # all but the rows
        per_device = len(self._placed) * self.block_rows * self.width
        stays = not _on_cpu(mesh) and per_device * dtype.itemsize <= RESIDENT_BYTES
        self._resident: dict[int, GalleryBlock] | None = {} if stays else None

    def _deal(self, features: Features) -> list[list[tuple[Piece | None, tuple]]]:
        """Gives blocks to devices, step by step; rows on a device remain there."""
        lanes = {device: [] for device in self.mesh.devices}
        pieces = pieces_of(features)
        stops = [piece.start for piece in pieces[1:]] + [len(features)]
        for piece, stop in zip(pieces, stops, strict=True):
            for own in blocks_of(piece, stop, self.block_rows):
                lane = lanes.get(piece.device) if len(pieces) > 1 else None
                if lane is None:
                    lane = min(lanes.values(), key=len)
                lane.append((piece, own))
        steps = max(map(len, lanes.values()))
        nothing = (None, (0, 0, 0))
        return [
            [lane[step] if step < len(lane) else nothing for lane in lanes.values()]
            for step in range(steps)
        ]

    def load(self, step: int) -> GalleryBlock:
        """The blocks of a step, on their devices."""
        if self._resident is not None and step in self._resident:
            return self._resident[step]
        sharding = NamedSharding(self.mesh, SHARDED)
        rows = jax.make_array_from_single_device_arrays(
            (len(self._placed[step]) * self.block_rows, self.width),
            sharding,
            [
                self._read(piece, own, device)
                for (piece, own), device in zip(
                    self._placed[step], self.mesh.devices, strict=True
                )
                if device.process_index == jax.process_index()
            ],
        )
        if step not in self._known:
            own = (put(column, self.mesh, SHARDED) for column in self.own[step].T)
            self._known[step] = (norms(rows), *own)
        block = GalleryBlock(_cast(rows, self._dtype), *self._known[step])
        if self._resident is not None:
            self._resident[step] = block
        return block

    def _read(self, piece: Piece | None, own: tuple, device: jax.Device) -> jax.Array:
        """One block [G, D] on its device, padded with zeros, in float32."""
        first, _, stop = own
        size = self.block_rows
        if piece is None:
            rows = np.zeros((size, self.width), np.float32)
        elif piece.data is None:
            raise ValueError(
                "the mesh lacks the devices of another process that hold a part of "
                "the gallery; give a mesh of all devices"
            )
        else:
            rows = piece.read(first, min(first + size, stop))
            rows = rows.astype(np.float32, copy=False)
            if len(rows) < size:
                rows = np.pad(rows, ((0, size - len(rows)), (0, 0)))
        return jax.device_put(rows, device, may_alias=True)

    def check(self) -> None:
        """Refuses rows that cannot be compared, among those of the steps loaded.

        Raises:
          ValueError: with the row's number.
        """
        for step in self._known.keys() - self._checked:
            norm_nG = self._known[step][0]
            for shard in norm_nG.addressable_shards:
                lane = (shard.index[0].start or 0) // self.block_rows
                first, _, stop = self.own[step][lane]
                norm = np.asarray(shard.data)[: stop - first]
                numbers = range(first, stop)
                check_norms("gallery", norm, numbers, self.metric)
            self._checked.add(step)

    def check_all(self) -> None:
        """Loads every step and checks it."""
        for step in range(len(self.own)):
            self.load(step)
            self.check()


def _on_cpu(mesh: Mesh) -> bool:
    return mesh.devices[0].platform == "cpu"


def query_blocks(
    query: Features,
    order: np.ndarray,
    mesh: Mesh,
    metric: str,
    dtype: jnp.dtype,
    most_rows: int | None = None,
) -> Iterator[tuple[np.ndarray, QueryBlock]]:
    """Yields (numbers of the queries, their block), in the order given.

    Raises:
      ValueError: a row cannot be compared.
    """
    size = query_rows(len(order), most_rows)
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        rows_BxD = put(take_rows(query, chosen, size), mesh, WHOLE)
        norm_B = norms(rows_BxD)
        norm = np.asarray(norm_B)[: len(chosen)]
        check_norms("query", norm, chosen, metric)
        yield chosen, QueryBlock(_cast(rows_BxD, dtype), norm_B)


def _cast(rows: jax.Array, dtype: jnp.dtype) -> jax.Array:
    return rows if rows.dtype == dtype else rows.astype(dtype)


@jax.jit
def norms(rows_BxD: jax.Array) -> jax.Array:
    """Their L2 norms, float32 [B]."""
    return jnp.sqrt(jnp.sum(rows_BxD * rows_BxD, axis=1))
