"""Which accessories belong to an outfit: on the head, around the neck, in the hands."""

import dataclasses

import numpy as np

from mbnet_jax.parsing import labels as parsing
from mbnet_jax.synthetic.clothes.garments import Accessory, Outfit
from mbnet_jax.synthetic.options import SyntheticOptions

# Every kind, and the label of its pixels.
KINDS = {
    "cap": parsing.HEAD,
    "beanie": parsing.HEAD,
    "brim": parsing.HEAD,
    "headscarf": parsing.HEAD,
    "hood": parsing.HEAD,
    "mask": parsing.HEAD,
    "glasses": parsing.HEAD,
    "sunglasses": parsing.HEAD,
    "scarf": parsing.UPPER_CLOTHES,
    "gloves": parsing.ARMS,
    "backpack": parsing.CARRIED,
    "child_bag": parsing.CARRIED,
    "shoulder_bag": parsing.CARRIED,
    "handbag": parsing.CARRIED,
    "trolley": parsing.CARRIED,
    "umbrella": parsing.CARRIED,
    "box": parsing.CARRIED,
    "phone": parsing.CARRIED,
}
# What covers hair, and all of it.
HATS = ("cap", "beanie", "brim", "headscarf", "hood")
WRAPS = ("headscarf", "hood")
# Things that the hands hold: the shares of those who hold something.
_CARRIED = {
    "backpack": 0.26,
    "shoulder_bag": 0.18,
    "handbag": 0.16,
    "trolley": 0.11,
    "umbrella": 0.09,
    "box": 0.09,
    "child_bag": 0.11,
}
_WITH_HOOD = ("hoodie", "jacket", "puffer", "coat")


def _colours(rng: np.random.Generator, bright: float = 0.3) -> np.ndarray:
    """Draws two colours, mostly dark or dull, [2, 3]."""
    colours = rng.beta(1.2, 2.0, (2, 1)) * np.exp(rng.normal(0, 0.12, (2, 3)))
    if rng.random() < bright:
        colours[0] = rng.uniform(0.03, 0.9, 3)
    return np.clip(0.02 + 0.93 * colours, 0.02, 0.95)


def accessorize(
    rng: np.random.Generator,
    outfits: list[Outfit],
    female: bool,
    options: SyntheticOptions,
) -> list[Outfit]:
    """Adds accessories to outfits, each as often as `options.accessories` says."""
    if not options.accessories:
        return outfits
    return [_accessorize(rng, worn, female, options.accessories) for worn in outfits]


def _accessorize(
    rng: np.random.Generator, outfit: Outfit, female: bool, often: float
) -> Outfit:
    chosen = []

    def add(kind: str, colours: np.ndarray) -> None:
        side = int(rng.choice((-1, 1)))
        chosen.append(Accessory(kind, side, rng.uniform(0.85, 1.15), colours))

    hats = dict.fromkeys(("cap", "beanie", "brim"), 1.0) | {"cap": 1.8, "beanie": 1.5}
    if female:
        hats["headscarf"] = 1.0
    odds = np.array([*hats.values()])
    if rng.random() < 0.3 * often:
        add(str(rng.choice([*hats], p=odds / odds.sum())), _colours(rng))
    elif rng.random() < 0.4 * often and outfit.top.kind in _WITH_HOOD:
        colour = outfit.top.colours[0]
        add("hood", np.stack([colour, 0.5 * colour]))
    if rng.random() < 0.2 * often:
        pale = np.array([(0.88, 0.9, 0.92), (0.6, 0.78, 0.88), (0.06, 0.06, 0.07)])
        colours = _colours(rng)
        if rng.random() < 0.8:
            colours[0] = pale[rng.choice(3, p=(0.4, 0.35, 0.25))]
        add("mask", colours)
    if rng.random() < 0.2 * often:
        add(str(rng.choice(("glasses", "sunglasses"))), _colours(rng, 0.1) * 0.5)
    if rng.random() < 0.18 * often and outfit.top.kind != "tank":
        add("scarf", _colours(rng, 0.5))
    if rng.random() < 0.15 * often:
        add("gloves", _colours(rng))
    carried = None
    if rng.random() < 0.65 * often:
        carried = str(rng.choice([*_CARRIED], p=[*_CARRIED.values()]))
        bright = {"child_bag": 1.0, "umbrella": 0.5}.get(carried, 0.3)
        colours = _colours(rng, bright)
        if carried == "box":
            board = np.array([0.62, 0.46, 0.3]) * rng.uniform(0.6, 1.2)
            colours = np.clip([board, 0.75 * board], 0, 0.95)
        add(carried, colours)
    if rng.random() < 0.1 * often and carried != "box":
        colours = np.array([[0.05, 0.05, 0.06], [0.1, 0.1, 0.12]])
        side = -chosen[-1].side if carried else int(rng.choice((-1, 1)))
        chosen.append(Accessory("phone", side, 1.0, colours))
    return dataclasses.replace(
        outfit, accessories=tuple(chosen), bag=None if carried else outfit.bag
    )
