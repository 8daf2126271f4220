"""Streams features through the devices of a mesh, in blocks of one shape.

Every device has the whole block of queries, and a gallery block of its own.

The shape of a product decides the order of its additions, hence its last bit. If
shapes differed within a call, or between numbers of devices, an image might not tie
with its own duplicate, and counts would differ.
"""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mbnet_jax.retrieval.arguments import Features, check_mesh
from mbnet_jax.retrieval.features import (
    Piece,
    aligned,
    blocks_of,
    check_norms,
    copy_rows,
    file_mapping,
    is_aligned,
    pieces_of,
    take_rows,
)
from mbnet_jax.retrieval.similarity import GalleryBlock, QueryBlock, norms

AXIS = "devices"
# Split along the first axis, one part per device; or whole on every device.
SHARDED, WHOLE = PartitionSpec(AXIS), PartitionSpec()

# The largest blocks: rows of queries, rows and bytes of the gallery (of which there are
# two buffers). Smaller blocks would be started too often.
QUERY_ROWS, GALLERY_ROWS, GALLERY_BYTES = 512, 2048, 16 << 20
MIN_ROWS = 64

# Gallery blocks of up to this many bytes in all stay on each accelerator: copied again
# for each block of queries, they would take longer than the products. MSMT17 takes 2.9
# GiB at width 9,216. On a CPU, which has the gallery in its memory anyway, copies would
# gain nothing.
RESIDENT_BYTES = 4 << 30


def all_devices(mesh: Mesh | None) -> Mesh:
    """Returns a one-dimensional mesh of the devices of `mesh`; None: of all devices.

    Raises:
      ValueError: it is neither a mesh nor None.
    """
    check_mesh(mesh)
    devices = jax.devices() if mesh is None else mesh.devices.reshape(-1)
    return Mesh(np.array(devices), (AXIS,))


def put(array: np.ndarray, mesh: Mesh, spec: PartitionSpec) -> jax.Array:
    """Puts an array that every process has on the devices of the mesh."""
    sharding = NamedSharding(mesh, spec)
    return jax.make_array_from_callback(array.shape, sharding, array.__getitem__)


def filled(mesh: Mesh, shape: tuple[int, ...], value, dtype) -> jax.Array:
    """Returns `value` in shape [n, *shape], one part on each of n devices."""
    part = np.full((1, *shape), value, dtype)
    sharding = NamedSharding(mesh, SHARDED)
    return jax.make_array_from_callback((mesh.size, *shape), sharding, lambda _: part)


def sharded(
    mesh: Mesh, function: Callable, in_specs: tuple, donated: tuple[int, ...] = ()
) -> Callable:
    """Compiles a function that each device runs on its part; results are SHARDED.

    Arguments `donated` are overwritten.
    """
    return jax.jit(
        jax.shard_map(
            function, mesh=mesh, in_specs=in_specs, out_specs=SHARDED, check_vma=False
        ),
        donate_argnums=donated,
    )


def power_of_two(number: int, least: int = 1) -> int:
    """Returns the smallest power of two that is at least `number` and `least`.

    Rounded to such sizes, arrays have few shapes, and programs are compiled rarely.
    """
    return max(least, 1 << (max(number, 1) - 1).bit_length())


def query_rows(num_queries: int, max_rows: int | None) -> int:
    """Returns the rows of a query block."""
    return min(power_of_two(num_queries, 8), power_of_two(max_rows or QUERY_ROWS, 8))


def gallery_rows(num_gallery: int, width: int, max_rows: int | None) -> int:
    """Returns the rows of a gallery block, for any number of devices."""
    if max_rows is None:
        fitting = GALLERY_BYTES // (4 * width)
        max_rows = min(GALLERY_ROWS, 1 << max(fitting.bit_length() - 1, 0))
    max_rows = power_of_two(max_rows, MIN_ROWS)
    if num_gallery <= max_rows:
        return power_of_two(num_gallery, MIN_ROWS)
    # Blocks of similar size: the last should not repeat half of the one before.
    even = -(-num_gallery // -(-num_gallery // max_rows))
    step = max(max_rows // 8, MIN_ROWS)
    return -(-even // step) * step


class Gallery:
    """A gallery in steps: in each, every device of the mesh has one block.

    Attributes:
      bounds: for each step, int [n, 3]: first, fresh and stop index of each device's
        block, see `GalleryBlock`; (0, 0, 0) for a device without a block.
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
        max_rows: int | None = None,
    ):
        """Takes checked features, and the `dtype` in which they are multiplied."""
        self.block_rows = gallery_rows(*features.shape, max_rows)
        self.width = features.shape[1]
        self.mesh, self.metric, self._dtype = mesh, metric, dtype
        self._blocks = self._assign(features)
        self.bounds = [
            np.array([bounds for _, bounds in lanes], np.int32)
            for lanes in self._blocks
        ]
        self._checked: set[int] = set()
        self._known: dict[int, tuple[jax.Array, ...]] = {}  # norms and bounds
        on_cpu = mesh.devices[0].platform == "cpu"
        per_device = len(self._blocks) * self.block_rows * self.width
        resident = not on_cpu and per_device * dtype.itemsize <= RESIDENT_BYTES
        self._resident: dict[int, GalleryBlock] | None = {} if resident else None
        # Rows are copied to these, by lane and turn. Allocating memory for each block
        # would cost more than the copies.
        self._buffers: dict[tuple[int, int], np.ndarray] = {}
        self._turn, self._running = 0, None

    def _assign(self, features: Features) -> list[list[tuple[Piece | None, tuple]]]:
        """Assigns blocks to steps and lanes; a lane is the index of a device.

        Rows on a device of the mesh stay there.
        """
        lanes = {device: [] for device in self.mesh.devices}
        pieces = pieces_of(features)
        stops = [piece.start for piece in pieces[1:]] + [len(features)]
        for piece, stop in zip(pieces, stops, strict=True):
            for bounds in blocks_of(piece, stop, self.block_rows):
                lane = lanes.get(piece.device) if len(pieces) > 1 else None
                if lane is None:
                    lane = min(lanes.values(), key=len)
                lane.append((piece, bounds))
        steps = max(map(len, lanes.values()))
        nothing = (None, (0, 0, 0))
        return [
            [lane[step] if step < len(lane) else nothing for lane in lanes.values()]
            for step in range(steps)
        ]

    def load(self, step: int) -> GalleryBlock:
        """Returns the blocks of a step, on their devices.

        Pass what is computed from them to `throttle` before loading the next.
        """
        if self._resident is not None and step in self._resident:
            return self._resident[step]
        sharding = NamedSharding(self.mesh, SHARDED)
        rows = jax.make_array_from_single_device_arrays(
            (len(self._blocks[step]) * self.block_rows, self.width),
            sharding,
            [
                self._read(lane, *self._blocks[step][lane])
                for lane, device in enumerate(self.mesh.devices)
                if device.process_index == jax.process_index()
            ],
        )
        if step not in self._known:
            bounds = put(self.bounds[step], self.mesh, SHARDED)
            self._known[step] = norms(rows), bounds
        block = GalleryBlock(_cast(rows, self._dtype), *self._known[step])
        if self._resident is not None:
            self._resident[step] = block
        return block

    def _read(self, lane: int, piece: Piece | None, bounds: tuple) -> jax.Array:
        """Returns one block [G, D] on its device, float32, padded with zeros."""
        first, _, stop = bounds
        size = self.block_rows
        if piece is None:
            rows = np.zeros((0, self.width), np.float32)
        elif piece.data is None:
            raise ValueError(
                "part of the gallery is on devices of another process that are not in "
                "the mesh; give a mesh of all devices"
            )
        else:
            rows = piece.rows(first, min(first + size, stop))
        if isinstance(rows, jax.Array):
            rows = jnp.pad(rows.astype(np.float32), ((0, size - len(rows)), (0, 0)))
        elif len(rows) < size or not is_aligned(rows) or file_mapping(rows) is not None:
            into = self._buffers.get((lane, self._turn))
            if into is None:
                into = self._buffers[lane, self._turn] = aligned((size, self.width))
            copy_rows(rows, into)
            rows = into
        return jax.device_put(rows, self.mesh.devices[lane], may_alias=True)

    def throttle(self, result: jax.Array) -> None:
        """Waits for the result before `result`, which is of the step loaded last.

        The host then runs at most one step ahead of the devices. Each running step
        holds a gallery block.
        """
        if self._running is not None:
            self._running.block_until_ready()
        self._running = result
        self._turn = 1 - self._turn

    def check(self) -> None:
        """Rejects rows that cannot be compared, among those of the steps loaded.

        Raises:
          ValueError: with the row's index.
        """
        for step in self._known.keys() - self._checked:
            norm_nG = self._known[step][0]
            for shard in norm_nG.addressable_shards:
                lane = (shard.index[0].start or 0) // self.block_rows
                first, _, stop = self.bounds[step][lane]
                norm = np.asarray(shard.data)[: stop - first]
                check_norms("gallery", norm, range(first, stop), self.metric)
            self._checked.add(step)

    def check_all(self) -> None:
        """Loads and checks every step."""
        for step in range(len(self.bounds)):
            self.load(step)
            self.check()


def query_blocks(
    query: Features,
    order: np.ndarray,
    mesh: Mesh,
    metric: str,
    dtype: jnp.dtype,
    max_rows: int | None = None,
) -> Iterator[tuple[np.ndarray, QueryBlock]]:
    """Yields (indices of the queries, their block), in the given order.

    Raises:
      ValueError: a row cannot be compared.
    """
    size = query_rows(len(order), max_rows)
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        rows_BxD = put(take_rows(query, chosen, size), mesh, WHOLE)
        norm_B = norms(rows_BxD)
        check_norms("query", np.asarray(norm_B)[: len(chosen)], chosen, metric)
        yield chosen, QueryBlock(_cast(rows_BxD, dtype), norm_B)


def _cast(rows: jax.Array, dtype: jnp.dtype) -> jax.Array:
    return rows if rows.dtype == dtype else rows.astype(dtype)
