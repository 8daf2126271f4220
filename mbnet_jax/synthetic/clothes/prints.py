"""Prints and textures of cloth, as functions of canonical coordinates.

A print maps points to positions in its list of three colours: 0 is the first, 0.5
halfway between the first and the second, 2 the third. Two people in the same garment
show the same print, and a print is as sharp as the image.
"""

from collections.abc import Callable

import numpy as np

from mbnet_jax.synthetic.clothes import motifs, repeats
from mbnet_jax.synthetic.clothes.cloth import Cloth

# Names in the config, and their functions of (cloth, scale, variation).
PRINTS: dict[str, Callable[[Cloth, float, np.ndarray], np.ndarray]] = {
    "weave": repeats.weave,
    "denim": repeats.denim,
    "heather": repeats.heather,
    "camouflage": repeats.camouflage,
    "floral": repeats.floral,
    "tartan": repeats.tartan,
    "herringbone": repeats.herringbone,
    "polka": repeats.polka,
    "zigzag": repeats.zigzag,
    "tie_dye": motifs.tie_dye,
    "letters": motifs.letters,
    "emblem": motifs.emblem,
    "photo": motifs.photo,
    "gradient": motifs.gradient,
    "blocks": motifs.blocks,
    "side_stripes": motifs.side_stripes,
    "raglan": motifs.raglan,
    "gingham": repeats.gingham,
    "bands": motifs.bands,
    "hoops": repeats.hoops,
    "pinstripes": repeats.pinstripes,
    "leopard": repeats.leopard,
    "marble": repeats.marble,
    "houndstooth": repeats.houndstooth,
    "argyle": repeats.argyle,
    "patchwork": repeats.patchwork,
    "splatter": repeats.splatter,
    "yoke": motifs.yoke,
}


# Prints of which trousers show nothing.
CHEST_ONLY = ("letters", "emblem", "photo")


def blend(colours: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Returns the colours [n, 3] at positions [n] in a list of colours [3, 3]."""
    first = np.minimum(place.astype(np.int64), 1)
    share = (place - first)[:, None]
    return colours[first] * (1 - share) + colours[first + 1] * share
