"""Colour and canonical label of each visible point of a dressed person.

Both follow from a point's canonical coordinates (see `dressing`), so hems, hairlines
and patterns are sharp, independent of the mesh's triangles.
"""

import numpy as np

from mbnet_jax.parsing import labels as parsing
from mbnet_jax.synthetic.clothes.cloth import lay_out
from mbnet_jax.synthetic.clothes.garments import Bottom, Fabric, Outfit, Top
from mbnet_jax.synthetic.clothes.prints import PRINTS, blend
from mbnet_jax.synthetic.people.body import BODY, HAIR, SKIRT
from mbnet_jax.synthetic.people.dressing import BAG, KNOT
from mbnet_jax.synthetic.people.identity import Identity
from mbnet_jax.synthetic.people.inflation import WAIST, hairline
from mbnet_jax.synthetic.people.worn import EYES_Y, paint_on_body, paint_parts

_EYES_X = 0.031
_CROTCH = 0.08
_FASTENED = ("shirt", "hoodie", "jacket", "puffer", "coat")


class _Points:
    """Canonical coordinates of points by name, each float32 [n]."""

    def __init__(self, kind: np.ndarray, canonical: np.ndarray):
        self.kind = kind
        self.x, self.y, self.z, self.arm, arm_weight, head_weight = canonical.T
        self.body = kind == BODY
        self.head = self.body & (head_weight > 0.5)
        self.on_arm = self.body & (arm_weight > 0.5) & ~self.head
        self.trunk = self.body & ~self.head & ~self.on_arm
        self.front = self.z > 0.02


def second_colour(pattern: str, scale: float, p: _Points) -> np.ndarray:
    """Returns where a pattern shows its second colour, bool [n]."""
    up = np.where(p.on_arm, p.arm * 0.28, p.y)
    across = p.x + 0.7 * p.z
    if pattern == "hoops":
        return up % scale < 0.45 * scale
    if pattern == "stripes":
        return across % scale < 0.3 * scale
    if pattern == "check":
        return (up % scale < 0.5 * scale) ^ (across % scale < 0.5 * scale)
    if pattern == "yoke":
        return np.where(p.on_arm, p.arm < 0.5, p.y > 0.52)
    if pattern == "print":
        inside = (np.abs(p.x) < 0.09) & (np.abs(p.y - 0.47) < 0.5 * scale + 0.04)
        return p.trunk & p.front & inside
    if pattern == "dots":
        u, v = across % scale / scale - 0.5, up % scale / scale - 0.5
        return u * u + v * v < 0.08
    if pattern == "open":
        return (np.abs(p.x) < 0.04) & p.front & ~p.on_arm
    return np.zeros(len(up), bool)


def _chosen(garment: Top | Bottom, p: _Points, where: np.ndarray) -> np.ndarray:
    """Returns the colours [m, 3] of a garment at points; `where` selects m of n."""
    fabric = garment.fabric
    if fabric is None:
        second = second_colour(garment.pattern, garment.scale, p)
        return garment.colours[second[where].astype(np.int64)]
    where = np.flatnonzero(where)
    if not fabric.name:
        return np.tile(fabric.colours[0], (len(where), 1))
    coordinates = (values[where] for values in (p.x, p.y, p.z, p.arm, p.on_arm))
    place = PRINTS[fabric.name](lay_out(*coordinates), fabric.scale, fabric.variation)
    return blend(fabric.colours, place)


def _folds(p: _Points, fabric: Fabric, quilt: float) -> np.ndarray:
    """Returns the brightness of cloth of the large wardrobe, float [n]."""
    y, s = p.y / fabric.fold_scale, fabric.variation * 6
    folds = np.sin(31 * y + 23 * p.x + s[0]) * np.sin(27 * p.z - 19 * y + s[1])
    folds = 0.7 * folds + 0.5 * np.sin(60 * p.x + 11 * y + s[2] + 2 * folds)
    # Wrinkles at elbows and knees.
    along = np.where(p.on_arm, 0.28 * (p.arm - 1), p.y + 0.28)
    near = np.exp(-((along / 0.09) ** 2)) * (p.on_arm | (p.y < 0))
    folds = folds + near * np.sin(90 * along + 25 * p.z + s[3])
    bright = 1 + fabric.folds * folds
    if quilt:
        seam = np.abs(np.where(p.on_arm, 0.28 * p.arm, p.y) % quilt / quilt - 0.5)
        bright *= 1.08 - 0.45 * np.clip(4 * seam - 1.2, 0, 1)
    return bright


def _face(rgb: np.ndarray, p: _Points, identity: Identity) -> None:
    """Draws eyes, brows, lips, beard and glasses on the head, in place."""
    ahead = p.head & (p.z > 0.09)
    side = np.abs(p.x)
    lips = ahead & (side < 0.023) & (np.abs(p.y - 0.825) < 0.007)
    if identity.beard != "none":
        lip = ahead & (side < 0.032) & (p.y > 0.832) & (p.y < 0.848)
        chin = p.head & (p.z > 0.085) & (side < 0.028) & (p.y < 0.817)
        jaw = p.head & (p.z > 0.055) & (p.y < 0.855 - 0.02 * (side < 0.035))
        jaw &= ~((side < 0.03) & (p.y > 0.818))
        where = {
            "stubble": lip | jaw,
            "moustache": lip,
            "goatee": lip | chin,
            "full": lip | jaw,
        }[identity.beard]
        strength = 0.35 if identity.beard == "stubble" else 0.95
        rgb[where] += strength * (0.8 * identity.hair_colour - rgb[where])
    rgb[lips] = identity.lips
    brows = (
        ahead & (side > 0.012) & (side < 0.052) & (np.abs(p.y - 0.92) < identity.brows)
    )
    rgb[brows] += 0.8 * (0.7 * identity.hair_colour - rgb[brows])
    u, v = (side - _EYES_X) / 0.015, (p.y - EYES_Y) / 0.0065
    eyes = ahead & (u * u + v * v < 1)
    rgb[eyes] = (0.8, 0.78, 0.76)
    rgb[eyes & (np.abs(side - _EYES_X) < 0.007)] = (0.06, 0.05, 0.05)
    if identity.glasses:
        u, v = (side - 0.034) / 0.027, (p.y - EYES_Y) / 0.021
        radius = u * u + v * v
        near = p.head & (p.z > 0.05)
        rim = 0.55 if identity.glasses == 1 else 0.3
        lens = near & (p.z > 0.08) & (radius < 1)
        temple = near & (side > 0.055) & (np.abs(p.y - 0.903) < 0.005)
        if identity.glasses == 3:
            rgb[lens] = (0.05, 0.05, 0.06)
        rgb[(lens & (radius > rim)) | temple] = (0.08, 0.07, 0.07)


def _neck_opening(p: _Points, outfit: Outfit) -> np.ndarray:
    """Returns the points of the trunk that the top leaves bare, bool [n]."""
    top, side = outfit.top, np.abs(p.x)
    towards_front = np.clip(p.z / 0.09, 0, 1)
    deeper = top.neckline * np.clip(1.4 - side / 0.07, 0, 1)
    edge = 0.753 - towards_front * (0.04 + deeper) + 0.4 * np.maximum(side - 0.06, 0)
    bare = (p.y > edge) & (side < 0.12)
    if top.kind == "tank":
        bare |= (side > 0.14) & (p.y > 0.6)
        bare |= (side < 0.07) & (p.y > 0.66) & p.front
    return p.trunk & bare


def paint(
    kind: np.ndarray, canonical: np.ndarray, identity: Identity, outfit: Outfit
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the label and the colour of points.

    Args:
      kind: int [n], the face's kind (see `Dressed.face_kind`).
      canonical: float32 [n, 6], as in `Dressed.canonical`.
      identity: the person, for skin, hair and face.
      outfit: the clothes.

    Returns:
      uint8 [n] canonical labels and float64 [n, 3] RGB in 0..1, before shading.
    """
    p = _Points(kind, canonical)
    top, bottom, shoes = outfit.top, outfit.bottom, outfit.shoes
    rgb = np.tile(identity.skin, (len(kind), 1))
    label = np.full(len(kind), parsing.UPPER_CLOTHES, np.uint8)
    label[p.head] = parsing.HEAD
    label[p.on_arm] = parsing.ARMS
    label[p.trunk & (p.y < _CROTCH)] = parsing.LEGS
    _face(rgb, p, identity)

    hair = (kind == HAIR) | (kind == KNOT)
    if identity.hair != "bald":
        # A ragged edge, so that the hairline does not look drawn.
        ragged = 0.004 * np.sin(140 * p.x) + hairline(p.z, identity)
        hair |= p.head & (p.y > ragged)
    strands = 1 + 0.12 * np.sin(260 * p.x + 40 * p.y) * np.sin(190 * p.z)
    if identity.hair == "buzz":
        strands = strands * 0.85
    rgb[hair] = identity.hair_colour * strands[hair, None]
    label[hair] = parsing.HEAD

    def wear(where, garment, as_label):
        rgb[where] = _chosen(garment, p, where)
        label[where] = as_label

    if bottom.hose is not None:
        hose = p.trunk & (p.y < bottom.hose_end)
        rgb[hose] = bottom.hose
    if top.kind != "dress":
        cut = WAIST - 0.15 if bottom.kind == "skirt" else bottom.end
        wear(p.trunk & (p.y < WAIST) & (p.y > cut), bottom, parsing.LOWER_CLOTHES)
    sleeves = p.on_arm & (p.arm < top.sleeve)
    bare = _neck_opening(p, outfit)
    worn = (p.trunk & (p.y > top.hem) & ~bare) | sleeves
    wear(worn, top, parsing.UPPER_CLOTHES)
    if top.trim is not None:  # hem, cuffs and collar
        cuff = np.where(p.on_arm, p.arm > top.sleeve - 0.16, p.y < top.hem + 0.035)
        rgb[worn & (cuff | (p.trunk & (p.y > 0.705)))] = top.trim
    if top.fabric and top.kind in _FASTENED:  # a zip or buttons
        rgb[p.trunk & worn & p.front & (np.abs(p.x) < 0.006)] *= 0.5
    if top.inner is not None:
        below = p.trunk & worn & p.front & (np.abs(p.x) < top.opening)
        rgb[(below | sleeves) if top.inner_sleeves else below] = top.inner

    skirt = kind == SKIRT
    own = bottom.kind == "skirt" and top.kind != "dress"
    if own:
        wear(skirt, bottom, parsing.LOWER_CLOTHES)
    if top.skirt_end is not None:
        above = skirt & (p.y > top.skirt_end) if own else skirt
        wear(above, top, parsing.UPPER_CLOTHES)

    feet = p.trunk & (p.y < shoes.end)
    rgb[feet] = shoes.colours[0]
    rgb[feet & (p.y < -0.82)] = shoes.colours[1]
    label[feet] = parsing.SHOES

    if outfit.bag:
        carried = kind == BAG
        torso = p.trunk & (p.y > 0.2)
        if outfit.bag.kind == "backpack":
            strap = torso & p.front & (np.abs(np.abs(p.x) - 0.1) < 0.02)
            carried = carried | (strap & (p.y > 0.42))
        if outfit.bag.kind == "shoulder":
            x = p.x * outfit.bag.side
            # From the far shoulder (-0.1, 0.7) to the near hip (0.17, 0.15).
            carried = carried | (torso & (np.abs(x - 0.245 + 0.49 * p.y) < 0.018))
        rgb[carried] = outfit.bag.colour
        label[carried] = parsing.CARRIED

    paint_on_body(p, outfit, rgb, label)
    cloth = (label == parsing.UPPER_CLOTHES) | (label == parsing.LOWER_CLOTHES)
    if top.fabric is None or bottom.fabric is None:
        folds = np.sin(31 * p.y + 23 * p.x) * np.sin(27 * p.z - 19 * p.y)
        rgb *= 1 + 0.08 * (folds * cloth)[:, None]
    else:
        upper = label == parsing.UPPER_CLOTHES
        bright = np.where(
            upper, _folds(p, top.fabric, top.quilt), _folds(p, bottom.fabric, 0.0)
        )
        rgb *= np.where(cloth, bright, 1.0)[:, None]
    paint_parts(kind, canonical, outfit, rgb, label)
    return label, rgb
