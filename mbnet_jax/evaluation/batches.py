"""Batches of images: read by threads, embedded one ahead of the one that is fetched."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

from mbnet_jax.progress import progress

_READ_AHEAD = 2  # batches that are read while one is embedded

Failed = Callable[[int, Exception], None]


class Batch(NamedTuple):
    """Images to embed together.

    Attributes:
      indices: of the images in the first rows, ascending; further rows are padding.
      image: uint8 [B, H, W, 3], RGB.
      parsing: uint8 [B, H, W], canonical labels.
    """

    indices: Sequence[int]
    image: np.ndarray | jax.Array
    parsing: np.ndarray | jax.Array


def embed_batches(
    embed: Callable[[Any, Any], Any],
    batches: Iterable[Batch],
    total: int,
    doing: str = "embedding",
) -> Iterator[tuple[Sequence[int], Any]]:
    """Yields the indices of each batch and their embeddings, padding dropped.

    The devices embed a batch while the one before is fetched and the next is read.

    Args:
      embed: (image, parsing) -> a tree of arrays [B, ...], such as one array or a
        dictionary of them. It is not waited for.
      batches: indices ascend from batch to batch.
      total: the number of images, for the progress bar.
      doing: what the bar calls it.
    """
    running: deque[tuple[Sequence[int], Any]] = deque()
    with progress(total, doing, unit="image", leave=False) as bar:

        def fetch() -> tuple[Sequence[int], Any]:
            indices, embedded = running.popleft()
            rows = jax.tree.map(lambda x: x[: len(indices)], jax.device_get(embedded))
            bar.at(indices[-1] + 1)
            return indices, rows

        for batch in batches:
            running.append((batch.indices, embed(batch.image, batch.parsing)))
            if len(running) > 1:
                yield fetch()
        while running:
            yield fetch()


def read_batches(
    load: Callable[[int], tuple[np.ndarray, np.ndarray]],
    count: int,
    shape: tuple[int, int, int],
    threads: int,
    failed: Failed | None = None,
) -> Iterator[Batch]:
    """Yields the images 0 to `count` in batches, reading ahead in threads.

    Args:
      load: index -> image uint8 [H, W, 3] and parsing map uint8 [H, W].
      count: the number of images.
      shape: B, H, W. Every batch has B rows; those without an image are zeros.
      threads: how many threads call `load`.
      failed: called with the index of an image whose `load` raises ValueError or
        OSError, and the error; the image is left out. None: the error is raised.
    """
    pool = ThreadPoolExecutor(threads)
    try:
        for group in read_ahead(pool, load, count, shape[0]):
            batch = _filled(group, shape, failed)
            if batch.indices:
                yield batch
    finally:
        pool.shutdown(cancel_futures=True)


def read_ahead(
    pool: ThreadPoolExecutor, load: Callable, count: int, size: int
) -> Iterator[dict[int, Future]]:
    """Yields `size` calls of `load` at a time, by index, after starting the next."""
    submitted: deque[dict[int, Future]] = deque()
    for start in range(0, count, size):
        indices = range(start, min(start + size, count))
        submitted.append({index: pool.submit(load, index) for index in indices})
        if len(submitted) > _READ_AHEAD:
            yield submitted.popleft()
    yield from submitted


def _filled(
    group: dict[int, Future], shape: tuple[int, int, int], failed: Failed | None
) -> Batch:
    """The images that can be read, in the first rows."""
    image = np.zeros((*shape, 3), np.uint8)
    parsing = np.zeros(shape, np.uint8)
    indices: list[int] = []
    for index, future in group.items():
        row = len(indices)
        try:
            image[row], parsing[row] = future.result()
        except (ValueError, OSError) as error:
            if failed is None:
                raise
            failed(index, error)
        else:
            indices.append(index)
    return Batch(indices, image, parsing)
