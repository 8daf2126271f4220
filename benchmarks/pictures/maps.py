"""The attention maps of some people's images, and the areas they are compared with."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import cv2
import jax
import numpy as np

from benchmarks.pictures.choice import Place
from mbnet_jax.data.loader import load_example
from mbnet_jax.models import BRANCHES
from mbnet_jax.report.attention import attention_maps
from mbnet_jax.report.lists import camera_of, short_names
from mbnet_jax.runs.network import Network
from mbnet_jax.views import make_targets, make_views, normalise

_GREY = 128  # below a map that is not drawn over an image


class Map(NamedTuple):
    """A module's attention map of n images.

    title: above its panels; meaning: of its values.
    values: float32 [n, h, w]; None if the network does not have the module.
    view: uint8 [n, H, W, 3], which it is drawn over.
    area: float32 [n, H, W], which the outline encloses; inside: its name.
    """

    title: str
    meaning: str
    values: np.ndarray | None
    view: np.ndarray
    area: np.ndarray
    inside: str


class Shown(NamedTuple):
    """Images in the order of people and outfits, and their attention maps.

    counts: images of each person.
    captions: two lines each.
    image: uint8 [n, H, W, 3]; crops: the clothing-unrelated view of them.
    gate: the map of the global branch.
    others: those of the other branches.
    """

    counts: list[int]
    captions: list[tuple[str, str]]
    image: np.ndarray
    crops: np.ndarray
    gate: Map
    others: list[Map]


def compute_maps(network: Network, people: Sequence[Sequence[Place]]) -> Shown:
    """Runs the network on the people's images."""
    config = network.config
    places = [place for of in people for place in of]
    examples = [load_example(*place, config.data) for place in places]
    image, parsing = (
        np.stack([example[part] for example in examples])
        for part in ("image", "parsing")
    )
    computed = attention_maps(network, image, parsing)
    views = jax.jit(partial(make_views, sizes=config.views, names=("silhouette",)))(
        normalise(image), parsing
    )
    targets = jax.jit(partial(make_targets, sizes=config.views))(parsing)
    area, person, body = jax.device_get(
        (targets.area, targets.foreground, views["silhouette"][..., 0])
    )
    crops = computed.views["crops"]
    grey = np.full((*body.shape, 3), _GREY, np.uint8)
    names = {id(split): short_names(split) for split, _ in places}
    captions = [
        (names[id(split)][index], f"outfit {number}, camera {camera_of(split, index)}")
        for of in people
        for number, (split, index) in enumerate(of, start=1)
    ]
    gate, fam, cfm = (
        BRANCHES[branch].attention
        for branch in ("global", "clothing_unrelated", "mask")
    )
    maps = computed.maps
    attention, fusion = maps.get("clothing_unrelated"), maps.get("mask")
    return Shown(
        [len(of) for of in people],
        captions,
        image,
        crops,
        Map(gate.title, gate.unit, maps.get("global"), image, area, "area"),
        [
            Map(fam.title, fam.unit, attention, crops, person, "person"),
            Map("mask to crops", cfm.unit, fusion, crops, person, "person"),
            Map("crops to mask", cfm.unit, computed.reverse, grey, body, "person"),
        ],
    )


def shares_of(area: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The area's share of each cell, float [n, h, w] for areas [n, H, W]."""
    cells = [cv2.resize(a, size[::-1], interpolation=cv2.INTER_AREA) for a in area]
    return np.stack(cells)


def inside_outside(
    values: np.ndarray, area: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means of maps [n, h, w] inside and outside areas [n, H, W], each float [n].

    A cell counts by the area's share of it. NaN where there is no area, or no rest.
    """
    inside = shares_of(area, values.shape[1:])
    with np.errstate(invalid="ignore"):
        return tuple(
            (values * share).sum((1, 2)) / share.sum((1, 2))
            for share in (inside, 1 - inside)
        )
