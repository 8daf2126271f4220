"""The modules' maps of some people's images, and what they are compared with."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import cv2
import jax
import numpy as np

from benchmarks.pictures.choice import Place
from mbnet_jax.data.loader import load_example
from mbnet_jax.report.branches import looks_of
from mbnet_jax.report.lists import camera_of, short_names
from mbnet_jax.runs.load import Trained
from mbnet_jax.views import normalise, views_of

_GREY = 128  # under a map that has no image below it


class Map(NamedTuple):
    """A module's map of n images.

    title: over its panels; meaning: of its values.
    values: float32 [n, h, w]; None where the network has no such module.
    view: uint8 [n, H, W, 3], what it lies over.
    area: float32 [n, H, W], what the outline encloses; inside: that in a word.
    """

    title: str
    meaning: str
    values: np.ndarray | None
    view: np.ndarray
    area: np.ndarray
    inside: str


class Shown(NamedTuple):
    """The images that all maps are of, in the order of people and outfits.

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


def look(trained: Trained, people: Sequence[Sequence[Place]]) -> Shown:
    """Runs the network on the people's images."""
    config = trained.config
    places = [place for of in people for place in of]
    examples = [load_example(*place, config.data) for place in places]
    image, parsing = (
        np.stack([example[part] for example in examples])
        for part in ("image", "parsing")
    )
    seen = looks_of(config, trained, image, parsing)
    views = jax.jit(partial(views_of, **config.views))(normalise(image), parsing)
    area, person, body = jax.device_get(
        (views.area, views.foreground, views.silhouette[..., 0])
    )
    grey = np.full((*body.shape, 3), _GREY, np.uint8)
    names = {id(split): short_names(split) for split, _ in places}
    captions = [
        (names[id(split)][index], f"outfit {number}, camera {camera_of(split, index)}")
        for of in people
        for number, (split, index) in enumerate(of, start=1)
    ]
    possible, share = "0 to 1 are possible", "times an even share"
    others = [
        ("FAM's attention", possible, seen.attention, seen.crops, person),
        ("silhouette asks", share, seen.asked, seen.crops, person),
        ("crops ask", share, seen.asked_back, grey, body),
    ]
    return Shown(
        [len(of) for of in people],
        captions,
        image,
        seen.crops,
        Map("KTM's gate", possible, seen.gate, image, area, "area"),
        [Map(*of, "person") for of in others],
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
