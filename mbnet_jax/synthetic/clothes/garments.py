"""What a person can wear and carry: garments, bags, accessories, outfits."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Fabric:
    """The colours of a garment of the large wardrobe.

    Attributes:
      name: a name in `prints.PRINTS`, or "" for one colour.
      scale: period of the print, in metres.
      variation: float64 [4] in 0..1, whatever else differs between two such prints.
      colours: float64 [3, 3] RGB in 0..1.
      folds: strength of the shading by folds.
      fold_scale: 1 for folds of average size, more for larger ones.
    """

    name: str
    scale: float
    variation: np.ndarray
    colours: np.ndarray
    folds: float
    fold_scale: float


@dataclasses.dataclass(frozen=True)
class Top:
    """A garment for the trunk; lengths as in `wardrobe`'s table of tops.

    What the large wardrobe adds: `fabric` instead of pattern, scale and colours;
    `opening`, half the width of an open front in metres; `inner`, the colour of what
    is worn below; `inner_sleeves`, whether the sleeves belong to that; `trim`, the
    colour of hem, cuffs and collar; `quilt`, the height of a quilted jacket's
    chambers in metres, 0 for none.
    """

    kind: str
    sleeve: float
    hem: float
    looseness: float
    skirt_end: float | None
    neckline: float  # depth below the neck's base, in metres
    pattern: str
    scale: float  # period of the pattern, in metres
    colours: np.ndarray  # float64 [2, 3]
    fabric: Fabric | None = None
    opening: float = 0.0
    inner: np.ndarray | None = None
    inner_sleeves: bool = False
    trim: np.ndarray | None = None
    quilt: float = 0.0


@dataclasses.dataclass(frozen=True)
class Bottom:
    """A garment for the legs; lengths as in `wardrobe`'s table of bottoms.

    What the large wardrobe adds: `fabric` instead of pattern, scale and colours;
    `flare`, how much wider the legs are at the hem, in metres; `hose`, the colour of
    socks or tights up to the canonical height `hose_end`.
    """

    kind: str
    end: float
    looseness: float
    pattern: str
    scale: float
    colours: np.ndarray  # float64 [2, 3]
    fabric: Fabric | None = None
    flare: float = 0.0
    hose: np.ndarray | None = None
    hose_end: float = -1.0


@dataclasses.dataclass(frozen=True)
class Shoes:
    """A pair of shoes."""

    end: float
    thickness: float
    colours: np.ndarray  # float64 [2, 3]: upper, sole


@dataclasses.dataclass(frozen=True)
class Bag:
    """A bag of kind "backpack", "shoulder" or "hand"; its colour is RGB in 0..1."""

    kind: str
    side: int  # 1 left, -1 right
    colour: np.ndarray


@dataclasses.dataclass(frozen=True)
class Accessory:
    """Something worn or carried besides clothes; see `accessories`.

    Attributes:
      kind: a name in `accessories.KINDS`.
      side: 1 left, -1 right.
      size: about 1.
      colours: float64 [2, 3] RGB in 0..1.
    """

    kind: str
    side: int
    size: float
    colours: np.ndarray


@dataclasses.dataclass(frozen=True)
class Outfit:
    """What a person wears; the indices are those of the wardrobe."""

    top_index: int
    bottom_index: int
    top: Top
    bottom: Bottom
    shoes: Shoes
    bag: Bag | None
    accessories: tuple[Accessory, ...] = ()

    def has(self, *kinds: str) -> bool:
        """Whether one of these kinds of accessories belongs to the outfit."""
        return any(item.kind in kinds for item in self.accessories)


@dataclasses.dataclass(frozen=True)
class Wardrobe:
    """All the garments of a dataset.

    `odds` are those of the tops and of the bottoms to be chosen; None: equal. A
    uniform is a top and a bottom, by their indices, that are worn together.
    """

    tops: tuple[Top, ...]
    bottoms: tuple[Bottom, ...]
    shoes: tuple[Shoes, ...]
    odds: tuple[np.ndarray, np.ndarray] | None = None
    uniforms: tuple[tuple[int, int], ...] = ()
