"""Draws which cells make two images similar, for pairs of a query and another image."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mbnet_jax.data import Split
from mbnet_jax.data.loader import load_example
from mbnet_jax.evaluation.table import title_of
from mbnet_jax.models import BRANCHES
from mbnet_jax.report import heat
from mbnet_jax.report.lists import labels_of
from mbnet_jax.report.page import Images
from mbnet_jax.report.similarity_maps import SimilarityMaps, similarity_maps
from mbnet_jax.runs.network import Network

SIDES = ("query", "other")


class Pair(NamedTuple):
    """Two images to compare: a heading, and a split and an index in it for either."""

    heading: str
    query: tuple[Split, int]
    other: tuple[Split, int]


def draw_pairs(
    network: Network, pairs: Sequence[Pair], images: Images
) -> tuple[list[dict], list[dict]]:
    """Draws what makes the images of each pair similar; adds pictures to `images`.

    Returns:
      For each pair its heading, the labels of the other image, and for each branch its
      title, its cosine and the numbers of its two pictures; and a legend: branch, and
      lowest and highest value on the page. Both are empty if no branch can be drawn.
    """
    if not pairs:
        return [], []
    computed = similarity_maps(
        network,
        _loaded(network, [pair.query for pair in pairs]),
        _loaded(network, [pair.other for pair in pairs]),
    )
    if not computed.maps:
        return [], []
    scales = {
        branch: heat.value_range(np.concatenate(both))
        for branch, both in computed.maps.items()
    }
    drawn = [
        {
            "heading": pair.heading,
            "file": pair.other[0].names[pair.other[1]],
            "branches": [
                {
                    "title": title_of(branch),
                    "cosine": float(computed.cosines[branch][row]),
                    "images": _pictures(computed, branch, row, scales[branch], images),
                }
                for branch in computed.maps
            ],
        }
        | labels_of(*pair.other)
        for row, pair in enumerate(pairs)
    ]
    legend = [
        {"title": title_of(branch), "low": low, "high": high}
        for branch, (low, high) in scales.items()
    ]
    return drawn, legend


def _loaded(
    network: Network, chosen: Sequence[tuple[Split, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Images and parsing maps, uint8 [n, H, W, 3] and [n, H, W]."""
    examples = [load_example(*one, network.config.data) for one in chosen]
    image, parsing = (
        np.stack([example[part] for example in examples])
        for part in ("image", "parsing")
    )
    return image, parsing


def _pictures(
    computed: SimilarityMaps,
    branch: str,
    row: int,
    scale: tuple[float, float],
    images: Images,
) -> list[int]:
    """The numbers of the two pictures of a branch."""
    views, maps = computed.views[BRANCHES[branch].view], computed.maps[branch]
    pictures = [
        heat.overlay(view[row], values[row], *scale)
        for view, values in zip(views, maps, strict=True)
    ]
    return [
        images.add(("similar", branch, row, side), lambda picture=picture: picture)
        for side, picture in zip(SIDES, pictures, strict=True)
    ]
