"""The large wardrobe: any number of garments, no two alike."""

import numpy as np

from mbnet_jax.synthetic.clothes.garments import Bottom, Fabric, Shoes, Top, Wardrobe
from mbnet_jax.synthetic.clothes.prints import CHEST_ONLY, PRINTS
from mbnet_jax.synthetic.options import WARDROBE, SyntheticOptions

_PLAIN = 0.5  # share of the garments without a print
# Tops: kind, odds, sleeve (lowest, highest; -1 none, 1 elbow, 2 wrist), hem, looseness
# (metres), end of a skirt (canonical height). For dresses and coats, see below.
_TOPS = {
    "tee": (0.25, (0.3, 1.2), (0.06, 0.2), (0.005, 0.028), None),
    "tank": (0.05, (-1.0, -0.9), (0.08, 0.2), (0.004, 0.015), None),
    "shirt": (0.14, (1.2, 1.98), (0.03, 0.18), (0.008, 0.025), None),
    "jumper": (0.12, (1.7, 2.0), (0.08, 0.18), (0.012, 0.03), None),
    "hoodie": (0.12, (1.85, 2.0), (0.07, 0.16), (0.015, 0.032), None),
    "jacket": (0.1, (1.8, 2.0), (0.04, 0.18), (0.016, 0.034), None),
    "puffer": (0.06, (1.9, 2.0), (0.02, 0.16), (0.03, 0.05), None),
    "waistcoat": (0.04, (1.5, 2.0), (0.08, 0.17), (0.012, 0.034), None),
    "coat": (0.07, (1.9, 2.0), (0.1, 0.14), (0.018, 0.038), (-0.55, 0.0)),
    "dress": (0.05, (-0.5, 2.0), (0.1, 0.15), (0.005, 0.02), (-0.7, -0.1)),
}
_OPEN = {"jacket": 0.6, "puffer": 0.35, "coat": 0.45, "hoodie": 0.2, "waistcoat": 0.7}
_UNTRIMMED = ("tank", "coat", "dress", "waistcoat")
# Bottoms: kind, odds, end, looseness, flare in metres.
_BOTTOMS = {
    "trousers": (0.46, (-0.76, -0.66), (0.006, 0.03), (0.0, 0.012)),
    "wide": (0.12, (-0.74, -0.6), (0.016, 0.03), (0.015, 0.04)),
    "cropped": (0.08, (-0.62, -0.42), (0.01, 0.04), (0.0, 0.03)),
    "leggings": (0.1, (-0.74, -0.5), (0.002, 0.005), (0.0, 0.0)),
    "shorts": (0.12, (-0.3, -0.0), (0.008, 0.04), (0.0, 0.01)),
    "skirt": (0.12, (-0.72, -0.08), (0.0, 0.0), (0.0, 0.0)),
}


def _colour(rng: np.random.Generator, bright_share: float = 0.16) -> np.ndarray:
    """Draws the colour of a dyed cloth, RGB [3]: mostly dull or dark, some bright."""
    bright = rng.random() < bright_share
    # Dull cloth is often blue or brown.
    hue = rng.random()
    if not bright and rng.random() < 0.75:
        hue = rng.normal(0.6, 0.05) if rng.random() < 0.6 else rng.normal(0.08, 0.03)
    turn = np.clip(np.abs((hue + np.array([0, 2, 1]) / 3) % 1 * 6 - 3) - 1, 0, 1)
    strength = rng.beta(4, 2.5) if bright else rng.beta(1.1, 4.5)
    value = rng.beta(2.5, 1.6) if bright else rng.beta(1.0, 1.5)
    if rng.random() < 0.12:  # white
        strength, value = rng.uniform(0, 0.06), rng.uniform(0.8, 0.95)
    rgb = (0.03 + 0.92 * value) * (1 - strength * (1 - turn))
    return np.clip(rgb, 0.015, 0.97)


def _contrasting(rng: np.random.Generator, bright_share: float) -> np.ndarray:
    """Draws three colours that can be told apart, [3, 3]."""
    chosen = [_colour(rng, bright_share)]
    while len(chosen) < 3:
        colour = _colour(rng)
        # Sometimes two of the three are nearly alike.
        enough = 0.3 if len(chosen) == 1 else 0.15
        if min(np.abs(colour - other).sum() for other in chosen) > enough:
            chosen.append(colour)
    return np.array(chosen)


def _fabric(
    rng: np.random.Generator, prints: list[str], bright_share: float = 0.16
) -> Fabric:
    name = "" if not prints or rng.random() < _PLAIN else str(rng.choice(prints))
    colours = _contrasting(rng, bright_share)
    if name == "denim":
        worn = rng.uniform(0.1, 0.75)
        colours[0] = np.array([0.25, 0.42, 0.75]) * worn * np.exp(rng.normal(0, 0.1, 3))
        colours[1] = colours[0] + 0.3 * (1 - colours[0])
    if name == "heather":
        colours[1] = colours[0] + rng.uniform(0.2, 0.5) * (colours[1] - colours[0])
    if name == "bands":
        colours[1] = rng.uniform(0.75, 0.95)
    return Fabric(
        name=name,
        scale=float(np.exp(rng.uniform(np.log(0.05), np.log(0.2)))),
        variation=rng.random(4),
        colours=colours,
        folds=rng.uniform(0.02, 0.12),
        fold_scale=rng.uniform(0.6, 1.6),
    )


def _kinds(rng: np.random.Generator, table: dict, count: int) -> list[str]:
    """Draws kinds by their odds, and enough of the first for everybody."""
    odds = np.array([row[0] for row in table.values()])
    drawn = rng.choice([*table], count, p=odds / odds.sum())
    # Skirts and dresses leave men at least a choice of 12, if there are as many.
    women = np.flatnonzero(np.isin(drawn, ("dress", "skirt")))
    drawn[women[max(0, count - 12) :]] = next(iter(table))
    return drawn.tolist()


def _top(rng: np.random.Generator, kind: str, prints: list[str]) -> Top:
    _, sleeve, hem, looseness, skirt_end = _TOPS[kind]
    opening = rng.uniform(0.015, 0.07) if rng.random() < _OPEN.get(kind, 0.0) else 0.0
    closed = kind in ("hoodie", "jacket", "puffer", "coat")
    fabric = _fabric(rng, prints)
    if kind in ("puffer", "coat") and rng.random() < 0.6:
        fabric = _fabric(rng, [])
    return Top(
        kind=kind,
        sleeve=rng.uniform(*sleeve),
        hem=rng.uniform(*hem),
        looseness=rng.uniform(*looseness),
        skirt_end=rng.uniform(*skirt_end) if skirt_end else None,
        neckline=rng.uniform(-0.04, 0.0) if closed else rng.uniform(-0.03, 0.08),
        pattern="plain",
        scale=fabric.scale,
        colours=fabric.colours[:2],
        fabric=fabric,
        opening=opening,
        inner=_colour(rng) if opening or kind == "waistcoat" else None,
        inner_sleeves=kind == "waistcoat",
        trim=_colour(rng) if kind not in _UNTRIMMED and rng.random() < 0.25 else None,
        quilt=rng.uniform(0.045, 0.1) if kind == "puffer" else 0.0,
    )


def _bottom(rng: np.random.Generator, kind: str, prints: list[str]) -> Bottom:
    _, end, looseness, flare = _BOTTOMS[kind]
    # Most trousers have no print, and are dull.
    fabric = _fabric(rng, prints if rng.random() < 0.4 else [], 0.1)
    hose = None
    hose_end = -0.55
    if kind in ("skirt", "shorts", "cropped") and rng.random() < 0.5:
        hose = _colour(rng) * rng.uniform(0.3, 1)
        tights = kind == "skirt" and rng.random() < 0.7
        hose_end = 0.1 if tights else rng.uniform(-0.7, -0.35)
    return Bottom(
        kind="trousers" if kind in ("wide", "cropped") else kind,
        end=rng.uniform(*end),
        looseness=rng.uniform(*looseness),
        pattern="plain",
        scale=fabric.scale,
        colours=fabric.colours[:2],
        fabric=fabric,
        flare=rng.uniform(*flare),
        hose=hose,
        hose_end=hose_end,
    )


def _shoes(rng: np.random.Generator) -> Shoes:
    boots = rng.random() < 0.3
    colours = np.array([_colour(rng, 0.1), _colour(rng, 0.1)])
    colours[0] *= 1.0 if colours[0].min() > 0.75 else rng.uniform(0.3, 1)
    if rng.random() < 0.3:
        colours[1] = rng.uniform(0.75, 0.92)  # a white sole
    return Shoes(
        end=rng.uniform(-0.68, -0.36) if boots else rng.uniform(-0.775, -0.735),
        thickness=rng.uniform(0.008, 0.022),
        colours=colours,
    )


def _odds(rng: np.random.Generator, count: int) -> np.ndarray:
    """Odds of garments to be chosen: some are popular."""
    odds = np.exp(rng.normal(0, 0.7, count))
    return odds / odds.sum()


def make_large_wardrobe(options: SyntheticOptions) -> Wardrobe:
    """Returns `garments` tops, as many bottoms, and a quarter as many shoes."""
    rng = options.rng(WARDROBE, options.garments)
    prints = [*(options.prints or PRINTS)]
    below = [name for name in prints if name not in CHEST_ONLY]
    count = options.garments
    tops = [_top(rng, kind, prints) for kind in _kinds(rng, _TOPS, count)]
    bottoms = [_bottom(rng, kind, below) for kind in _kinds(rng, _BOTTOMS, count)]
    uniforms = []
    everybody = [k for k, top in enumerate(tops) if top.kind != "dress"]
    legs = [k for k, bottom in enumerate(bottoms) if bottom.kind != "skirt"]
    for _ in range(max(1, count // 40)):
        uniforms.append((int(rng.choice(everybody)), int(rng.choice(legs))))
    return Wardrobe(
        tops=tuple(tops),
        bottoms=tuple(bottoms),
        shoes=tuple(_shoes(rng) for _ in range(max(8, count // 4))),
        odds=(_odds(rng, count), _odds(rng, count)),
        uniforms=tuple(uniforms),
    )
