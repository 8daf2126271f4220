"""Batches of images through a network, while threads read what comes next."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import jax
import numpy as np
from tqdm import tqdm

_AHEAD = 2  # batches that are read while one is embedded

Group = list[tuple[int, Future]]  # places, and what will be read there
Failed = Callable[[int, Exception], None]


def stream(
    load: Callable[[int], tuple[np.ndarray, np.ndarray]],
    embed: Callable[[np.ndarray, np.ndarray], jax.Array],
    count: int,
    shape: tuple[int, int, int],
    threads: int,
    failed: Failed | None = None,
) -> Iterator[tuple[list[int], np.ndarray]]:
    """Yields places below `count` and their embeddings [b, d], batch by batch.

    Args:
      load: reads an image [H, W, 3] and its parsing map [H, W], uint8; in a thread.
      embed: the network: whole batches of both to [B, d], not waited for.
      shape: B, H, W. The last batch is filled up with zeros.
      threads: how many read.
      failed: called with the place of an image whose `load` raises ValueError or
        OSError, and the error; it is left out. Without, the error is raised.
    """
    running: deque[tuple[list[int], int, jax.Array]] = deque()

    def finished() -> tuple[list[int], np.ndarray]:
        places, size, made = running.popleft()
        rows = np.asarray(made)[: len(places)]
        bar.update(size)
        return places, rows

    with (
        ThreadPoolExecutor(threads) as pool,
        tqdm(total=count, desc="embedding", unit="image", leave=False, delay=2) as bar,
    ):
        for group in _ahead(pool, load, count, shape[0]):
            places, image, parsing = _batch(group, shape, failed)
            if not places:
                bar.update(len(group))
                continue
            # The devices work on it while the next one is put together.
            running.append((places, len(group), embed(image, parsing)))
            if len(running) > 1:
                yield finished()
        while running:
            yield finished()


def _ahead(
    pool: ThreadPoolExecutor, load: Callable, count: int, size: int
) -> Iterator[Group]:
    """Yields groups of `size` places; the next ones are being read."""
    waiting: deque[Group] = deque()
    try:
        for start in range(0, count, size):
            places = range(start, min(start + size, count))
            waiting.append([(place, pool.submit(load, place)) for place in places])
            if len(waiting) > _AHEAD:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:  # nobody waits for the rest
        for group in waiting:
            for _, future in group:
                future.cancel()


def _batch(
    group: Group, shape: tuple[int, int, int], failed: Failed | None
) -> tuple[list[int], np.ndarray, np.ndarray]:
    """The places that can be used, and their images and maps in the first rows."""
    image = np.zeros((*shape, 3), np.uint8)
    parsing = np.zeros(shape, np.uint8)
    places: list[int] = []
    for place, loaded in group:
        try:
            image[len(places)], parsing[len(places)] = loaded.result()
        except (ValueError, OSError) as error:
            if failed is None:
                raise
            failed(place, error)
        else:
            places.append(place)
    return places, image, parsing
