"""Draws the attention maps over the same people in all their outfits."""

from collections.abc import Sequence

import numpy as np

from benchmarks.pictures.maps import Map, Shown, inside_outside, shares_of
from benchmarks.pictures.panels import Panel, draw_people, legend, overlaid, scaled
from benchmarks.pictures.sheet import encoded, heading, stacked
from mbnet_jax.report import heat

# Height of a panel in pixels, and people side by side.
_GATE = 256, 4
_ATTENTION = 192, 2


def draw_gate(shown: Shown, notes: Sequence[str]) -> bytes:
    """The JPEG of KTM's gate."""
    gate = shown.gate
    target = shares_of(gate.area, gate.values.shape[1:])
    inside, outside = map(np.nanmean, inside_outside(target, gate.area))
    notes = [
        "Each image, and the gate over it. Outlined: the clothing-unrelated area of "
        "the parsing map (head, arms, legs, shoes), which the gate learns to predict "
        "from the image alone; below, the gate's mean on it and on the rest.",
        *notes,
        f"{summary(gate)} The gate's target, the area's share of each cell, has "
        f"{inside:.2f} and {outside:.2f}.",
    ]
    title = "KTM's gate in the global branch"
    return _draw(shown, ("image", shown.image), [gate], title, notes, *_GATE)


def draw_attention(shown: Shown, notes: Sequence[str]) -> bytes:
    """The JPEG of FAM's attention, and of CFM's in both directions."""
    available = [m for m in shown.others if m.values is not None]
    missing = [m.title for m in shown.others if m.values is None]
    notes = [
        "The clothing-unrelated view (head over legs); FAM's spatial attention on it; "
        "CFM's attention in both directions: how much the cells of the silhouette "
        "attend to each cell of that view (mask to crops), and how much its cells "
        "attend to each cell of the silhouette (crops to mask); means over heads and "
        "queries. Outlined: the person; below, the mean on the person and on the rest.",
        *notes,
        *map(summary, available),
    ]
    if missing:
        notes.append(f"The network does not have: {', '.join(missing)}.")
    title = "Attention of FAM and CFM"
    return _draw(
        shown, ("head over legs", shown.crops), available, title, notes, *_ATTENTION
    )


def summary(of: Map) -> str:
    """Returns a map's range and means, and its std over images and over cells."""
    inside, outside = map(np.nanmean, inside_outside(of.values, of.area))
    title = of.title[0].upper() + of.title[1:]
    return (
        f"{title} in these images: {of.values.min():.2f} to {of.values.max():.2f}, "
        f"mean on the {of.inside} {inside:.2f}, on the rest {outside:.2f}; std "
        f"of a cell over the images {of.values.std(0).mean():.3f}, between the cells' "
        f"means {of.values.mean(0).std():.3f}."
    )


def _draw(
    shown: Shown,
    first: tuple[str, np.ndarray],
    maps: Sequence[Map],
    title: str,
    notes: Sequence[str],
    height: int,
    beside: int,
) -> bytes:
    views = zip(first[1], shown.captions, strict=True)
    columns = [[Panel(scaled(view, height), lines) for view, lines in views]]
    limits = [heat.value_range(of.values) for of in maps]
    for of, (low, high) in zip(maps, limits, strict=True):
        columns.append(_panels(of, (low, high), height))
    rows = list(zip(*columns, strict=True))
    people = [[rows.pop(0) for _ in range(count)] for count in shown.counts]
    body = draw_people(people, [first[0], *(of.title for of in maps)], beside)
    bars = [
        (f"{of.title} ({of.meaning})", low, high)
        for of, (low, high) in zip(maps, limits, strict=True)
    ]
    top = heading(title, notes, body.width)
    return encoded(stacked([top, legend(bars, body.width), body]))


def _panels(of: Map, limits: tuple[float, float], height: int) -> list[Panel]:
    means = zip(*inside_outside(of.values, of.area), strict=True)
    return [
        Panel(
            overlaid(view, values, area, limits, height),
            (
                f"{values.min():.2f} to {values.max():.2f}",
                f"{of.inside} {inside:.2f}, rest {outside:.2f}",
            ),
        )
        for view, values, area, (inside, outside) in zip(
            of.view, of.values, of.area, means, strict=True
        )
    ]
