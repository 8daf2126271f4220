"""The garments, which all people share, and the outfits drawn from them."""

import numpy as np

from mbnet_jax.synthetic.clothes.accessories import accessorize
from mbnet_jax.synthetic.clothes.garments import (
    Bag,
    Bottom,
    Outfit,
    Shoes,
    Top,
    Wardrobe,
)
from mbnet_jax.synthetic.clothes.large_wardrobe import make_large_wardrobe
from mbnet_jax.synthetic.options import OUTFITS, WARDROBE, SyntheticOptions

PATTERNS = ("plain", "hoops", "stripes", "check", "yoke", "print", "dots", "open")

_IN_UNIFORM = 0.2  # share of the people of a wardrobe with uniforms

# Colours of clothes, RGB in 0..1: mostly dull, some bright.
_COLOURS = np.array(
    [
        (0.06, 0.06, 0.07),
        (0.22, 0.22, 0.24),
        (0.5, 0.5, 0.52),
        (0.9, 0.9, 0.88),
        (0.1, 0.13, 0.28),
        (0.2, 0.32, 0.6),
        (0.45, 0.6, 0.8),
        (0.7, 0.1, 0.12),
        (0.4, 0.08, 0.14),
        (0.14, 0.3, 0.18),
        (0.4, 0.42, 0.22),
        (0.72, 0.6, 0.42),
        (0.42, 0.28, 0.18),
        (0.9, 0.75, 0.2),
        (0.85, 0.45, 0.12),
        (0.85, 0.55, 0.62),
        (0.45, 0.25, 0.5),
        (0.15, 0.5, 0.5),
    ]
)
# Tops: kind, sleeve (-1 none, 1 elbow, 2 wrist), hem (canonical height in metres),
# looseness (metres), where the skirt of a coat or dress ends (None: no skirt).
_TOPS = (
    *[("tee", 0.55, 0.14, 0.008, None)] * 6,
    *[("tank", -1.0, 0.16, 0.006, None)] * 2,
    *[("shirt", 1.95, 0.12, 0.012, None)] * 5,
    *[("jumper", 1.95, 0.15, 0.022, None)] * 4,
    *[("jacket", 1.98, 0.13, 0.03, None)] * 3,
    *[("coat", 1.98, 0.13, 0.03, -0.2)] * 2,
    ("dress", 0.4, 0.13, 0.008, -0.25),
    ("dress", 1.9, 0.13, 0.01, -0.45),
)
# Bottoms: kind, where the legs or the skirt end (canonical height), looseness.
_BOTTOMS = (
    *[("trousers", -0.72, 0.012)] * 5,
    *[("trousers", -0.7, 0.028)] * 3,
    *[("leggings", -0.68, 0.003)] * 2,
    *[("shorts", -0.2, 0.02)] * 2,
    ("shorts", -0.06, 0.014),
    ("skirt", -0.18, 0.0),
    ("skirt", -0.32, 0.0),
    ("skirt", -0.6, 0.0),
)
# Shoes: where they end (canonical height), how thick they are in metres.
_SHOES = (
    *[(-0.755, 0.01)] * 5,
    (-0.7, 0.016),
    (-0.6, 0.014),
    (-0.45, 0.012),
)


def make_wardrobe(options: SyntheticOptions) -> Wardrobe:
    """Returns the wardrobe of a dataset.

    The small one has fixed cuts, and random colours and patterns.
    """
    if options.garments:
        return make_large_wardrobe(options)
    rng = options.rng(WARDROBE)

    def colours(dull: bool) -> np.ndarray:
        odds = np.where(np.arange(len(_COLOURS)) < (7 if dull else 0), 3.0, 1.0)
        chosen = rng.choice(len(_COLOURS), 2, replace=False, p=odds / odds.sum())
        return np.clip(_COLOURS[chosen] * np.exp(rng.normal(0, 0.12, (2, 3))), 0, 1)

    tops = []
    for kind, sleeve, hem, looseness, skirt_end in _TOPS:
        open_front = kind in ("jacket", "coat")
        pattern = "open" if open_front else rng.choice(PATTERNS[:-1])
        if kind == "tank" and pattern == "yoke":
            pattern = "plain"  # The yoke would cover all of it.
        tops.append(
            Top(
                kind=kind,
                sleeve=sleeve + rng.uniform(-0.05, 0.03),
                hem=hem + rng.uniform(-0.02, 0.03),
                looseness=looseness * rng.uniform(0.8, 1.3),
                skirt_end=skirt_end,
                neckline=rng.choice((-0.03, 0.0, 0.02, 0.06)),
                pattern=str(pattern if rng.random() < 0.5 or open_front else "plain"),
                scale=rng.uniform(0.06, 0.14),
                colours=colours(dull=False),
            )
        )
    bottoms = [
        Bottom(
            kind=kind,
            end=end + rng.uniform(-0.02, 0.04),
            looseness=looseness * rng.uniform(0.8, 1.2),
            pattern=str(rng.choice(("plain",) * 7 + ("check",))),
            scale=rng.uniform(0.06, 0.12),
            colours=colours(dull=True),
        )
        for kind, end, looseness in _BOTTOMS
    ]
    shoes = [Shoes(end, thickness, colours(dull=True)) for end, thickness in _SHOES]
    return Wardrobe(tuple(tops), tuple(bottoms), tuple(shoes))


def sample_outfits(
    options: SyntheticOptions, wardrobe: Wardrobe, pid: int, female: bool
) -> list[Outfit]:
    """Returns the outfits of the person with number `pid` of a dataset."""
    rng = options.rng(OUTFITS, pid)
    outfits = random_outfits(rng, wardrobe, female, options.outfits)
    # A stream of their own, so that clothes do not depend on accessories.
    return accessorize(options.rng(OUTFITS, pid, 1), outfits, female, options)


def _put_on(uniform: tuple[int, int], tops: np.ndarray, bottoms: np.ndarray) -> None:
    """Makes one outfit that uniform, in place; no garment occurs twice."""
    top, bottom = uniform
    k = int(np.argmax(tops == top))  # 0 if it is not among them
    same = bottoms == bottom
    bottoms[same] = bottoms[k]
    tops[k], bottoms[k] = top, bottom


def random_outfits(
    rng: np.random.Generator, wardrobe: Wardrobe, female: bool, count: int
) -> list[Outfit]:
    """Draws `count` outfits of one person, which share no top and no bottom.

    Only women wear skirts and dresses. Most outfits include the person's usual shoes.
    """
    tops = [k for k, top in enumerate(wardrobe.tops) if female or top.kind != "dress"]
    bottoms = [
        k for k, item in enumerate(wardrobe.bottoms) if female or item.kind != "skirt"
    ]
    odds = [None, None]
    if wardrobe.odds:
        odds = [
            p[k] / p[k].sum()
            for p, k in zip(wardrobe.odds, (tops, bottoms), strict=True)
        ]
    tops = rng.choice(tops, count, replace=False, p=odds[0])
    bottoms = rng.choice(bottoms, count, replace=False, p=odds[1])
    if wardrobe.uniforms and rng.random() < _IN_UNIFORM:
        uniform = wardrobe.uniforms[rng.integers(len(wardrobe.uniforms))]
        _put_on(uniform, tops, bottoms)
    usual = rng.integers(len(wardrobe.shoes))
    outfits = []
    for top, bottom in zip(tops, bottoms, strict=True):
        other = rng.integers(len(wardrobe.shoes))
        shoes = usual if rng.random() < 0.6 else other
        bag = Bag(
            kind=str(rng.choice(("backpack", "shoulder", "hand"))),
            side=int(rng.choice((-1, 1))),
            colour=_COLOURS[rng.integers(len(_COLOURS))],
        )
        carried = rng.random() < 0.3
        outfits.append(
            Outfit(
                top_index=int(top),
                bottom_index=int(bottom),
                top=wardrobe.tops[top],
                bottom=wardrobe.bottoms[bottom],
                shoes=wardrobe.shoes[shoes],
                bag=bag if carried else None,
            )
        )
    return outfits
