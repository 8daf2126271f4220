"""Photographs whose parsing maps are made on the way, in memory."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from mbnet_jax.evaluation.batches import Batch, Failed, read_ahead
from mbnet_jax.images import resize_image
from mbnet_jax.parsing.maps import canonical_map
from mbnet_jax.parsing.segmenter import Fitted, Parser


class _Read(NamedTuple):
    """A photograph that waits for its map, at the sizes of network and parser."""

    image: np.ndarray
    fitted: Fitted
    name: str


def parsed_batches(
    load: Callable[[int], tuple[np.ndarray, str]],
    parser: Parser,
    count: int,
    shape: tuple[int, int, int],
    threads: int,
    failed: Failed | None = None,
) -> Iterator[Batch]:
    """Does what `read_batches` does, with the maps that `parser` makes.

    The maps are those that `mbnet-parse` would write. Threads read photographs while
    the parser runs.

    Args:
      load: index -> RGB, uint8 [h, w, 3] of any size, and the photograph's name.
      parser: labels up to `parser.batch` photographs at a time.
      count, shape, threads, failed: as in `read_batches`.
    """
    size = shape[1:]

    def read(index: int) -> _Read:
        pixels, name = load(index)
        return _Read(resize_image(pixels, size), parser.fit(pixels), name)

    indices: list[int] = []
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    pool = ThreadPoolExecutor(threads)
    try:
        for group in read_ahead(pool, read, count, parser.batch):
            found = _results(group, failed)
            fitted = [each.fitted for each in found.values()]
            maps = parser.parse(fitted) if fitted else []
            for (index, each), labels in zip(found.items(), maps, strict=True):
                parts = canonical_map(labels, parser.labels, size, each.name)
                indices.append(index)
                rows.append((each.image, parts))
            while len(rows) >= shape[0]:
                yield _batch(indices[: shape[0]], rows[: shape[0]], shape)
                del indices[: shape[0]], rows[: shape[0]]
        if rows:
            yield _batch(indices, rows, shape)
    finally:
        pool.shutdown(cancel_futures=True)


def _results(group: dict[int, Future], failed: Failed | None) -> dict[int, _Read]:
    """Those that can be read, by index."""
    found = {}
    for index, future in group.items():
        try:
            found[index] = future.result()
        except (ValueError, OSError) as error:
            if failed is None:
                raise
            failed(index, error)
    return found


def _batch(
    indices: list[int],
    rows: list[tuple[np.ndarray, np.ndarray]],
    shape: tuple[int, int, int],
) -> Batch:
    """Images and maps in the first rows of a batch."""
    image = np.zeros((*shape, 3), np.uint8)
    parsing = np.zeros(shape, np.uint8)
    for row, (pixels, parts) in enumerate(rows):
        image[row], parsing[row] = pixels, parts
    return Batch(list(indices), image, parsing)
