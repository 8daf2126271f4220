"""Batches of decoded images as global arrays, sharded over the `data` axis.

The host only reads, decodes and resizes. A batch is a dict of `image` uint8
[B, H, W, 3], `parsing` uint8 [B, H, W], and int32 [B] `pid`, `camera`, `clothes` and
`index` (the image's index in its split).
"""

import functools
from collections.abc import Callable, Iterator, Sequence

import grain
import jax
import numpy as np
from jax.sharding import Mesh, Sharding
from ml_collections import ConfigDict

from mbnet_jax.data.bad_images import BadImages
from mbnet_jax.data.joint import LABEL_SET
from mbnet_jax.data.parts import prepared_folder
from mbnet_jax.data.sampler import IdentityBalancedSampler
from mbnet_jax.data.splits import Split
from mbnet_jax.devices.mesh import batch_sharding
from mbnet_jax.files import printable
from mbnet_jax.images import decode_image, resize_image
from mbnet_jax.parsing.label_sets import check_label_set
from mbnet_jax.parsing.labels import BACKGROUND
from mbnet_jax.parsing.maps import decode_parsing

Batch = dict[str, jax.Array]

_READY = 2  # batches that are on the devices ahead of their use
# Rows that a thread makes before it asks grain for more. Each question takes a tenth of
# a millisecond, in which no other thread runs.
_TOGETHER = 4


def decode(
    example: dict, size: tuple[int, int], label_set: str
) -> tuple[np.ndarray, np.ndarray]:
    """Decodes an example of the builder's.

    Args:
      example: `image` and `parsing`, the bytes of two files, and the image's `name`.
      size: (H, W) to resize to.
      label_set: of the parsing map, a key of `LABEL_SETS`.

    Returns:
      The image, RGB uint8 [H, W, 3], and its parsing map in canonical labels, uint8
      [H, W]: all background if the image has no map.

    Raises:
      ValueError: a file cannot be decoded, or the parsing map does not fit its label
        set or its image's size. The message names the file.
    """
    name = example["name"].decode()
    image = decode_image(example["image"], name)
    resized = resize_image(image, size)
    if not example["parsing"]:
        return resized, np.full(size, BACKGROUND, np.uint8)
    data, own_size = example["parsing"], image.shape[:2]
    return resized, decode_parsing(data, label_set, size, name, own_size)


def load_example(
    split: Split, index: int, data: ConfigDict, *, reads_maps: bool = True
) -> dict:
    """Loads one row of a batch: image `index` of `split`, as `config.data` says.

    Unless `reads_maps`, its parsing map is all background.

    Raises:
      ValueError: the image cannot be read or decoded. The message names it.
    """
    size = (data.height, data.width)
    read = _read(split, index, data)
    if not reads_maps:
        read = {**read, "parsing": b""}
    image, parsing = decode(read, size, read.get(LABEL_SET, data.parsing_labels))
    return {
        "image": image,
        "parsing": parsing,
        "pid": split.pid[index],
        "camera": split.camera[index],
        "clothes": split.clothes[index],
        "index": np.int32(index),
    }


def _read(split: Split, index: int, data: ConfigDict) -> dict:
    """Reads the example of image `index` from its prepared copy, undecoded."""
    name = split.names[index]
    try:
        example = split.example(index)
        if example["name"].decode() == name:
            return example
        reason = f"found {example['name']} instead"
    except Exception as error:  # ArrayRecord raises no class of its own
        reason = error
    raise ValueError(
        f"the prepared copy of {printable(name)} cannot be read ({reason}); delete "
        f"{prepared_folder(data, name)} to prepare it again"
    )


class Loader:
    """Makes batches of a split's images, as `config.data` says.

    Attributes:
      bad_images: the unreadable images that `train` has replaced.
    """

    def __init__(self, data: ConfigDict, mesh: Mesh, *, reads_maps: bool = True):
        """Takes `config.data`, and the mesh that batches are sharded over.

        Unless `reads_maps`, `evaluate` takes all parsing maps for background.
        """
        check_label_set(data.parsing_labels)
        self.bad_images = BadImages(data.max_bad_images)
        self._data = data
        self._threads = data.threads
        self._prefetch = data.prefetch
        self._mesh = mesh
        self._reads_maps = reads_maps

    def train(
        self,
        split: Split,
        sampler: IdentityBalancedSampler,
        steps: range,
        order: np.ndarray | None = None,
    ) -> Iterator[Batch]:
        """Yields the batches of `steps`; to resume is to start at a later step.

        An unreadable image is added to `bad_images` and replaced by another of the
        same person. Which one is a function of seed, step and row.

        Args:
          split: the images to train on.
          sampler: that chooses each batch's images.
          steps: of the batches.
          order: int [B]; row r of a batch is row `order[r]` of the sampler's. None
            keeps the sampler's order.

        Raises:
          ValueError: no image of a person can be read.
        """
        if order is None:
            order = np.arange(sampler.batch_size)
        images = functools.lru_cache(maxsize=4 * self._prefetch)(sampler.batch)
        load = self._kept(split)

        def candidates(step: int, row: int) -> Iterator[int]:
            yield int(images(step)[row])
            yield from sampler.substitutes(step, row).tolist()

        def example(step: int, row: int) -> dict:
            for index in candidates(step, int(order[row])):
                try:
                    return load(index)
                except ValueError as error:
                    self.bad_images.add(split.names[index], error)
                    last = error
            raise ValueError(f"no image of one person can be read; the last: {last}")

        return self._batches(example, steps, sampler.batch_size)

    def _kept(self, split: Split) -> Callable[[int], dict]:
        """`load_example` that keeps its first rows, as many as `cache_gb` has room for.

        Rows are never changed, so it does not matter which thread keeps one.
        """
        row_bytes = 4 * self._data.height * self._data.width
        room = int(1e9 * self._data.get("cache_gb", 0.0)) // row_bytes
        rows: dict[int, dict] = {}

        def load(index: int) -> dict:
            row = rows.get(index)
            if row is None:
                row = load_example(split, index, self._data)
                if len(rows) < room:
                    rows[index] = row
            return row

        return load

    def evaluate(self, split: Split, batch_size: int) -> Iterator[Batch]:
        """Yields every image once, in order.

        The last batch is padded with the last image; callers drop the rows past
        `len(split)`.

        Raises:
          ValueError: an image cannot be read or decoded. The message names it.
        """

        def example(step: int, row: int) -> dict:
            index = min(step * batch_size + row, len(split) - 1)
            return load_example(split, index, self._data, reads_maps=self._reads_maps)

        return self._batches(example, range(-(-len(split) // batch_size)), batch_size)

    def _batches(
        self, example: Callable[[int, int], dict], steps: range, batch_size: int
    ) -> Iterator[Batch]:
        """Yields batches whose row r at a step is `example(step, r)`."""
        sharding = batch_sharding(self._mesh)
        rows = _local_rows(sharding, batch_size).tolist()
        pieces = [rows[i : i + _TOGETHER] for i in range(0, len(rows), _TOGETHER)]

        def piece(number: int) -> list[dict]:
            step, position = divmod(number, len(pieces))
            try:
                return [example(step, row) for row in pieces[position]]
            except Exception:  # handed on by grain
                raise
            except BaseException as error:
                # It would end the thread, and the others would wait for its image.
                raise OSError(
                    f"a thread that reads images ended ({error!r}); start again"
                ) from error

        options = grain.ReadOptions(
            num_threads=self._threads,
            prefetch_buffer_size=self._prefetch * len(pieces),
        )
        put = functools.partial(_to_global, sharding=sharding, batch_size=batch_size)
        batches = (
            grain.MapDataset.range(steps.start * len(pieces), steps.stop * len(pieces))
            .map(piece)
            .to_iter_dataset(options)
            .batch(len(pieces), batch_fn=_stacked)
            .map(put)
        )
        # A thread also collects batches and sends them to the devices. The consumer
        # would compete for the interpreter with the threads that read the next images.
        return iter(
            grain.experimental.ThreadPrefetchIterDataset(
                batches, prefetch_buffer_size=_READY
            )
        )


def _stacked(pieces: Sequence[list[dict]]) -> dict[str, np.ndarray]:
    """The rows of a batch, stacked by name."""
    rows = [row for piece in pieces for row in piece]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _local_rows(sharding: Sharding, batch_size: int) -> np.ndarray:
    """The rows of the global batch that this process loads, in order."""
    shards = sharding.addressable_devices_indices_map((batch_size,)).values()
    return np.unique(np.concatenate([np.arange(batch_size)[shard] for shard in shards]))


def _to_global(local: dict, *, sharding, batch_size: int) -> Batch:
    return {
        name: jax.make_array_from_process_local_data(
            sharding, value, (batch_size, *value.shape[1:])
        )
        for name, value in local.items()
    }
