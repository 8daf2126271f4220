"""Batches of decoded images as global arrays, sharded over the `data` axis.

The host only reads, decodes and resizes. A batch is a dict of `image` uint8
[B, H, W, 3], `parsing` uint8 [B, H, W], and int32 [B] `pid`, `camera`,
`clothes` and `index` (the image's place in the split).
"""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import grain
import jax
import numpy as np
from jax.sharding import Mesh, Sharding
from ml_collections import ConfigDict

from mbnet_jax.data.bad_images import BadImages
from mbnet_jax.data.sampler import IdentityBalancedSampler
from mbnet_jax.data.splits import Split
from mbnet_jax.devices.mesh import batch_sharding
from mbnet_jax.images import decode_image, resize_image
from mbnet_jax.parsing.labels import BACKGROUND
from mbnet_jax.parsing.maps import check_label_set, decode_parsing

Batch = dict[str, jax.Array]

_READY = 2  # batches on the devices before they are asked for


def decode(
    example: dict, size: tuple[int, int], labels: str
) -> tuple[np.ndarray, np.ndarray]:
    """Decodes an undecoded example to image [H, W, 3] RGB and parsing [H, W], uint8.

    `labels` names the label set of the parsing map; the result has canonical labels,
    all background where there is no map.

    Raises:
      ValueError: for bytes that are no image, or a parsing map that does not fit its
        label set, naming the file.
    """
    name = example["name"].decode()
    image = resize_image(decode_image(example["image"], name), size)
    if not example["parsing"]:
        return image, np.full(size, BACKGROUND, np.uint8)
    return image, decode_parsing(example["parsing"], labels, size, name)


def load_example(split: Split, index: int, data: ConfigDict) -> dict:
    """One row of a batch: image `index` of `split`, decoded as `config.data` says.

    Raises:
      ValueError: naming the image, if it cannot be read or decoded.
    """
    size = (data.height, data.width)
    image, parsing = decode(_read(split, index, data), size, data.parsing_labels)
    return {
        "image": image,
        "parsing": parsing,
        "pid": split.pid[index],
        "camera": split.camera[index],
        "clothes": split.clothes[index],
        "index": np.int32(index),
    }


def _read(split: Split, index: int, data: ConfigDict) -> dict:
    """The undecoded example of image `index`, as it was prepared."""
    name = split.names[index]
    try:
        example = split.example(index)
        if example["name"].decode() == name:
            return example
        reason = f"{example['name']} is in its place"
    except Exception as error:  # ArrayRecord has no kind of its own
        reason = error
    raise ValueError(
        f"the prepared copy of {name} cannot be read ({reason}); delete "
        f"{Path(data.root) / 'prepared' / data.name} to have it made again"
    )


class Loader:
    """Makes batches of the images of a split, as `config.data` says."""

    def __init__(self, data: ConfigDict, mesh: Mesh):
        """Takes `config.data` and the mesh that batches are split over."""
        check_label_set(data.parsing_labels)
        self.bad_images = BadImages(data.max_bad_images)
        self._data = data
        self._threads = data.threads
        self._prefetch = data.prefetch
        self._mesh = mesh

    def train(
        self,
        split: Split,
        sampler: IdentityBalancedSampler,
        steps: range,
        order: np.ndarray | None = None,
    ) -> Iterator[Batch]:
        """Yields the batches of `steps`; to resume is to start at a later step.

        Row r of a batch is row `order[r]` of the sampler's, or row r. An image that
        cannot be used is noted in `bad_images`, and another of the same person stands
        in for it: which one follows from seed, step and row.

        Raises:
          ValueError: if no image of a person can be used.
        """
        if order is None:
            order = np.arange(sampler.batch_size)
        images = functools.lru_cache(maxsize=4 * self._prefetch)(sampler.batch)

        def candidates(step: int, row: int) -> Iterator[int]:
            yield int(images(step)[row])
            yield from sampler.substitutes(step, row).tolist()

        def example(step: int, place: int) -> dict:
            for index in candidates(step, int(order[place])):
                try:
                    return load_example(split, index, self._data)
                except ValueError as error:
                    self.bad_images.add(split.names[index], error)
                    last = error
            raise ValueError(f"no image of one person can be used; the last: {last}")

        return self._batches(example, steps, sampler.batch_size)

    def evaluate(self, split: Split, batch_size: int) -> Iterator[Batch]:
        """Yields every image once, in order; the last batch repeats the last image.

        The rows past `len(split)` are padding: the caller must drop them.

        Raises:
          ValueError: naming an image that cannot be used.
        """

        def example(step: int, row: int) -> dict:
            index = min(step * batch_size + row, len(split) - 1)
            return load_example(split, index, self._data)

        return self._batches(example, range(-(-len(split) // batch_size)), batch_size)

    def _batches(
        self, example: Callable[[int, int], dict], steps: range, batch_size: int
    ) -> Iterator[Batch]:
        """Yields batches whose row r at a step is `example(step, r)`."""
        sharding = batch_sharding(self._mesh)
        rows = _local_rows(sharding, batch_size)

        def numbered(number: int) -> dict:
            step, place = divmod(number, len(rows))
            return example(step, int(rows[place]))

        options = grain.ReadOptions(
            num_threads=self._threads, prefetch_buffer_size=self._prefetch * len(rows)
        )
        put = functools.partial(_to_global, sharding=sharding, batch_size=batch_size)
        batches = (
            grain.MapDataset.range(steps.start * len(rows), steps.stop * len(rows))
            .map(numbered)
            .to_iter_dataset(options)
            .batch(len(rows))
            .map(put)
        )
        # Collected and sent to the devices by a thread, too: whoever asks for a batch
        # would compete for the interpreter with the threads that then read on.
        return iter(
            grain.experimental.ThreadPrefetchIterDataset(
                batches, prefetch_buffer_size=_READY
            )
        )


def _local_rows(sharding: Sharding, batch_size: int) -> np.ndarray:
    """Which rows of the global batch this process has to load, in order."""
    places = sharding.addressable_devices_indices_map((batch_size,)).values()
    return np.unique(np.concatenate([np.arange(batch_size)[place] for place in places]))


def _to_global(local: dict, *, sharding, batch_size: int) -> Batch:
    return {
        name: jax.make_array_from_process_local_data(
            sharding, value, (batch_size, *value.shape[1:])
        )
        for name, value in local.items()
    }
