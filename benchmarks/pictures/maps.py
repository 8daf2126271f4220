"""The pictures of the modules' maps, over the same people in all their outfits."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import cv2
import jax
import numpy as np

from benchmarks.pictures.choice import ChosenImage
from benchmarks.pictures.layout import (
    Panel,
    draw_people,
    encoded,
    heading,
    legend,
    overlaid,
    scaled,
    stacked,
)
from mbnet_jax.data.loader import load_example
from mbnet_jax.models import BRANCHES
from mbnet_jax.parsing.labels import BACKGROUND
from mbnet_jax.report import heat
from mbnet_jax.report.attention import attention_maps
from mbnet_jax.report.lists import short_names
from mbnet_jax.report.rollout import UNIT
from mbnet_jax.runs.network import Network
from mbnet_jax.views import make_targets, make_views, normalise

_GREY = 128  # behind maps over the silhouette, which has no image
# Height of a panel in pixels, and people side by side.
_GATE = 256, 4
_ATTENTION = 192, 2
_ROLLOUT = (
    "Rollout: how much each transformer's output depends on each cell of its view, by "
    "the attention of all its blocks."
)


class ModuleMap(NamedTuple):
    """A module's map of n images.

    title: heading of its panels.
    meaning: of its values.
    values: float32 [n, h, w]; None if the network does not have the module.
    view: uint8 [n, H, W, 3], the view below the map.
    area: float32 [n, H, W], the area that is outlined.
    inside: what the area shows, in one word.
    """

    title: str
    meaning: str
    values: np.ndarray | None
    view: np.ndarray
    area: np.ndarray
    inside: str


class PeopleMaps(NamedTuple):
    """The maps of n images, in the order of people and outfits.

    counts: number of images of each person.
    captions: two lines for each image.
    image: uint8 [n, H, W, 3].
    crops: uint8 [n, H', W', 3], their clothing-unrelated view.
    gate: the map of the global branch.
    attention: the maps of FAM and CFM, and of transformers.
    """

    counts: list[int]
    captions: list[tuple[str, str]]
    image: np.ndarray
    crops: np.ndarray
    gate: ModuleMap
    attention: list[ModuleMap]


def compute_maps(
    network: Network, people: Sequence[Sequence[ChosenImage]]
) -> PeopleMaps:
    """Runs the network on the people's images."""
    config = network.config
    images = [image for person in people for image in person]
    examples = [load_example(*image, config.data) for image in images]
    image, parsing = (
        np.stack([example[part] for example in examples])
        for part in ("image", "parsing")
    )
    computed = attention_maps(network, image, parsing)
    views = jax.jit(partial(make_views, options=config.views, names=("silhouette",)))(
        normalise(image), parsing
    )
    targets = jax.jit(partial(make_targets, sizes=config.views))(parsing)
    area, person, body = jax.device_get(
        (targets.area, targets.foreground, views["silhouette"][..., 0])
    )
    crops = computed.views["crops"]
    grey = np.full((*body.shape, 3), _GREY, np.uint8)
    names = {id(split): short_names(split) for split, _ in images}
    captions = [
        (
            names[id(split)][index],
            f"outfit {number}, camera {split.shown(index).camera}",
        )
        for images_of_person in people
        for number, (split, index) in enumerate(images_of_person, start=1)
    ]
    gate, fam, cfm = (
        BRANCHES[branch].attention
        for branch in ("global", "clothing_unrelated", "mask")
    )
    maps = computed.maps
    attention = [
        (fam.title, fam.unit, maps.get("clothing_unrelated"), crops, person),
        ("mask to crops", cfm.unit, maps.get("mask"), crops, person),
        ("crops to mask", cfm.unit, computed.reverse, grey, body),
    ]
    below = {
        "image": (image, (parsing != BACKGROUND).astype(np.float32)),
        "crops": (crops, person),
        "silhouette": (grey, body),
    }
    for name, branch in BRANCHES.items():
        if name in computed.rollouts:
            title = f"rollout, {branch.view}"
            values = computed.rollouts[name]
            attention.append((title, UNIT, values, *below[branch.view]))
    return PeopleMaps(
        [len(images_of_person) for images_of_person in people],
        captions,
        image,
        crops,
        ModuleMap(gate.title, gate.unit, maps.get("global"), image, area, "area"),
        [ModuleMap(*fields, "person") for fields in attention],
    )


def shares_of(area: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the area's share of each cell, float [n, h, w], for areas [n, H, W]."""
    cells = [cv2.resize(a, size[::-1], interpolation=cv2.INTER_AREA) for a in area]
    return np.stack(cells)


def inside_outside(
    values: np.ndarray, area: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the means of maps [n, h, w] inside and outside areas [n, H, W].

    Cells are weighted by the area's share of them.

    Returns:
      Two arrays, float [n]; NaN where there is no area, or nothing outside it.
    """
    inside = shares_of(area, values.shape[1:])
    with np.errstate(invalid="ignore"):
        return tuple(
            (values * share).sum((1, 2)) / share.sum((1, 2))
            for share in (inside, 1 - inside)
        )


def draw_gate(maps: PeopleMaps, notes: Sequence[str]) -> bytes:
    """Draws KTM's gate; returns a JPEG."""
    gate = maps.gate
    target = shares_of(gate.area, gate.values.shape[1:])
    inside, outside = map(np.nanmean, inside_outside(target, gate.area))
    notes = [
        "Beside each image, the gate over it. Outlined: the clothing-unrelated area of "
        "the parsing map (head, arms, legs, shoes), which the gate learns to predict "
        "from the image; below, the gate's mean on it and on the rest.",
        *notes,
        f"{summary(gate)} The gate's target, the area's share of each cell, has "
        f"{inside:.2f} and {outside:.2f}.",
    ]
    title = "KTM's gate in the global branch"
    return _draw(maps, ("image", maps.image), [gate], title, notes, *_GATE)


def draw_attention(maps: PeopleMaps, notes: Sequence[str]) -> bytes:
    """Draws FAM's attention, and CFM's in both directions; returns a JPEG."""
    present = [m for m in maps.attention if m.values is not None]
    missing = [m.title for m in maps.attention if m.values is None]
    notes = [
        "The clothing-unrelated view (head over legs); FAM's spatial attention on it; "
        "CFM's attention in both directions: how much the cells of the silhouette "
        "attend to each cell of that view (mask to crops), and how much its cells "
        "attend to each cell of the silhouette (crops to mask); means over heads and "
        "queries. Outlined: the person; below, the mean on the person and on the rest.",
        *([_ROLLOUT] * any(m.title.startswith("rollout") for m in present)),
        *notes,
        *map(summary, present),
    ]
    if missing:
        notes.append(f"The network does not have: {', '.join(missing)}.")
    title = "Attention of FAM and CFM"
    return _draw(
        maps, ("head over legs", maps.crops), present, title, notes, *_ATTENTION
    )


def summary(shown: ModuleMap) -> str:
    """Describes a map: range, means, and how much it depends on image and position."""
    inside, outside = map(np.nanmean, inside_outside(shown.values, shown.area))
    title = shown.title[0].upper() + shown.title[1:]
    values = shown.values
    return (
        f"{title} in these images: {values.min():.2f} to {values.max():.2f}, mean on "
        f"the {shown.inside} {inside:.2f}, on the rest {outside:.2f}; std of a cell "
        f"over the images {values.std(0).mean():.3f}, std of the cells' means "
        f"{values.mean(0).std():.3f}."
    )


def _draw(
    maps: PeopleMaps,
    first: tuple[str, np.ndarray],
    columns: Sequence[ModuleMap],
    title: str,
    notes: Sequence[str],
    height: int,
    beside: int,
) -> bytes:
    """Draws the view `first`, and the maps in the columns beside it."""
    views = zip(first[1], maps.captions, strict=True)
    panels = [[Panel(scaled(view, height), lines) for view, lines in views]]
    limits = [heat.value_range(shown.values) for shown in columns]
    for shown, ends in zip(columns, limits, strict=True):
        panels.append(_panels(shown, ends, height))
    rows = list(zip(*panels, strict=True))
    people = [[rows.pop(0) for _ in range(count)] for count in maps.counts]
    titles = [first[0], *(shown.title for shown in columns)]
    body = draw_people(people, titles, beside)
    bars = [
        (f"{shown.title} ({shown.meaning})", *ends)
        for shown, ends in zip(columns, limits, strict=True)
    ]
    top = heading(title, notes, body.width)
    return encoded(stacked([top, legend(bars, body.width), body]))


def _panels(shown: ModuleMap, limits: tuple[float, float], height: int) -> list[Panel]:
    means = zip(*inside_outside(shown.values, shown.area), strict=True)
    return [
        Panel(
            overlaid(view, values, area, limits, height),
            (
                f"{values.min():.2f} to {values.max():.2f}",
                f"{shown.inside} {inside:.2f}, rest {outside:.2f}",
            ),
        )
        for view, values, area, (inside, outside) in zip(
            shown.view, shown.values, shown.area, means, strict=True
        )
    ]
