"""Batches of photographs and their parsing maps, given or made on the way."""

import functools
from collections.abc import Iterator, Sequence

import numpy as np

from mbnet_jax.evaluation.batches import Batch, Failed, read_batches
from mbnet_jax.parsing.segmenter import Parser
from mbnet_jax.search.on_the_way import parsed_batches
from mbnet_jax.search.photographs import Photograph, load_photograph, load_pixels


def photograph_batches(
    images: Sequence[Photograph],
    maps: Sequence[Photograph] | Parser | None,
    labels: str,
    shape: tuple[int, int, int],
    threads: int,
    failed: Failed | None,
) -> Iterator[Batch]:
    """Decodes photographs in batches.

    Args:
      images: the photographs.
      maps: their parsing maps, or what makes them; None: those of the batches are all
        background.
      labels: the label set of maps that are given.
      shape: images in a batch, their height and width.
      threads: that decode.
      failed: see `read_batches`.
    """
    if isinstance(maps, Parser):
        return parsed_batches(
            lambda index: load_pixels(images[index], f"images[{index}]"),
            maps,
            len(images),
            shape,
            threads,
            failed,
        )
    load = functools.partial(_load, images, maps, labels, shape[1:])
    return read_batches(load, len(images), shape, threads, failed)


def _load(
    images: Sequence[Photograph],
    maps: Sequence[Photograph] | None,
    labels: str,
    size: tuple[int, int],
    index: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Decodes one image and its map, if maps are given."""
    own = None if maps is None else maps[index]
    return load_photograph(images[index], own, f"images[{index}]", size, labels)
