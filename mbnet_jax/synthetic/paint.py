"""Colour and canonical label of each visible point of a dressed person.

Every point is known by its canonical coordinates (see `dressing`), so hems, hairlines
and patterns are sharp whatever the mesh's triangles are.
"""

import numpy as np

from mbnet_jax.parsing import labels as parsing
from mbnet_jax.synthetic.body import BODY, HAIR, SKIRT
from mbnet_jax.synthetic.dressing import BAG, KNOT, WAIST, hairline
from mbnet_jax.synthetic.identity import Identity
from mbnet_jax.synthetic.wardrobe import Outfit

_EYES_Y, _EYES_X = 0.898, 0.031
_CROTCH = 0.08


class _Points:
    """Canonical coordinates of the points, by name; each float32 [n]."""

    def __init__(self, kind: np.ndarray, canonical: np.ndarray):
        self.kind = kind
        self.x, self.y, self.z, self.arm, armness, headness = canonical.T
        self.body = kind == BODY
        self.head = self.body & (headness > 0.5)
        self.on_arm = self.body & (armness > 0.5) & ~self.head
        self.trunk = self.body & ~self.head & ~self.on_arm
        self.front = self.z > 0.02


def second_colour(pattern: str, scale: float, at: _Points) -> np.ndarray:
    """Where a pattern shows its second colour, bool [n]."""
    up = np.where(at.on_arm, at.arm * 0.28, at.y)
    across = at.x + 0.7 * at.z
    if pattern == "hoops":
        return up % scale < 0.45 * scale
    if pattern == "stripes":
        return across % scale < 0.3 * scale
    if pattern == "check":
        return (up % scale < 0.5 * scale) ^ (across % scale < 0.5 * scale)
    if pattern == "yoke":
        return np.where(at.on_arm, at.arm < 0.5, at.y > 0.52)
    if pattern == "print":
        inside = (np.abs(at.x) < 0.09) & (np.abs(at.y - 0.47) < 0.5 * scale + 0.04)
        return at.trunk & at.front & inside
    if pattern == "dots":
        u, v = across % scale / scale - 0.5, up % scale / scale - 0.5
        return u * u + v * v < 0.08
    if pattern == "open":
        return (np.abs(at.x) < 0.04) & at.front & ~at.on_arm
    return np.zeros(len(up), bool)


def _face(rgb: np.ndarray, at: _Points, identity: Identity) -> None:
    """Draw eyes, brows, lips, beard and glasses on the head, in place."""
    ahead = at.head & (at.z > 0.09)
    side = np.abs(at.x)
    lips = ahead & (side < 0.023) & (np.abs(at.y - 0.825) < 0.007)
    if identity.beard != "none":
        lip = ahead & (side < 0.032) & (at.y > 0.832) & (at.y < 0.848)
        chin = at.head & (at.z > 0.085) & (side < 0.028) & (at.y < 0.817)
        jaw = at.head & (at.z > 0.055) & (at.y < 0.855 - 0.02 * (side < 0.035))
        jaw &= ~((side < 0.03) & (at.y > 0.818))
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
        ahead & (side > 0.012) & (side < 0.052) & (np.abs(at.y - 0.92) < identity.brows)
    )
    rgb[brows] += 0.8 * (0.7 * identity.hair_colour - rgb[brows])
    u, v = (side - _EYES_X) / 0.015, (at.y - _EYES_Y) / 0.0065
    eyes = ahead & (u * u + v * v < 1)
    rgb[eyes] = (0.8, 0.78, 0.76)
    rgb[eyes & (np.abs(side - _EYES_X) < 0.007)] = (0.06, 0.05, 0.05)
    if identity.glasses:
        u, v = (side - 0.034) / 0.027, (at.y - _EYES_Y) / 0.021
        radius = u * u + v * v
        near = at.head & (at.z > 0.05)
        rim = 0.55 if identity.glasses == 1 else 0.3
        lens = near & (at.z > 0.08) & (radius < 1)
        temple = near & (side > 0.055) & (np.abs(at.y - 0.903) < 0.005)
        if identity.glasses == 3:
            rgb[lens] = (0.05, 0.05, 0.06)
        rgb[(lens & (radius > rim)) | temple] = (0.08, 0.07, 0.07)


def _neck_opening(at: _Points, outfit: Outfit) -> np.ndarray:
    """Trunk points that the top leaves bare, bool [n]."""
    top, side = outfit.top, np.abs(at.x)
    towards_front = np.clip(at.z / 0.09, 0, 1)
    deeper = top.neckline * np.clip(1.4 - side / 0.07, 0, 1)
    edge = 0.753 - towards_front * (0.04 + deeper) + 0.4 * np.maximum(side - 0.06, 0)
    bare = (at.y > edge) & (side < 0.12)
    if top.kind == "tank":
        bare |= (side > 0.14) & (at.y > 0.6)
        bare |= (side < 0.07) & (at.y > 0.66) & at.front
    return at.trunk & bare


def paint(
    kind: np.ndarray, canonical: np.ndarray, identity: Identity, outfit: Outfit
) -> tuple[np.ndarray, np.ndarray]:
    """Label and colour of points.

    Args:
      kind: int [n], the face's kind (see `Dressed.face_kind`).
      canonical: float32 [n, 6], as `Dressed.canonical`.
      identity: whose skin, hair and face.
      outfit: what is worn.

    Returns:
      uint8 [n] canonical labels and float64 [n, 3] RGB in 0..1, before light.
    """
    at = _Points(kind, canonical)
    top, bottom, shoes = outfit.top, outfit.bottom, outfit.shoes
    rgb = np.tile(identity.skin, (len(kind), 1))
    label = np.full(len(kind), parsing.UPPER_CLOTHES, np.uint8)
    label[at.head] = parsing.HEAD
    label[at.on_arm] = parsing.ARMS
    label[at.trunk & (at.y < _CROTCH)] = parsing.LEGS
    _face(rgb, at, identity)

    hair = (kind == HAIR) | (kind == KNOT)
    if identity.hair != "bald":
        # A ragged edge, so that the hairline is no drawn line.
        ragged = 0.004 * np.sin(140 * at.x) + hairline(at.z, identity)
        hair |= at.head & (at.y > ragged)
    strands = 1 + 0.12 * np.sin(260 * at.x + 40 * at.y) * np.sin(190 * at.z)
    if identity.hair == "buzz":
        strands = strands * 0.85
    rgb[hair] = identity.hair_colour * strands[hair, None]
    label[hair] = parsing.HEAD

    def wear(where, garment, as_label):
        second = second_colour(garment.pattern, garment.scale, at)
        chosen = garment.colours[second[where].astype(np.int64)]
        rgb[where] = chosen
        label[where] = as_label

    if top.kind != "dress":
        cut = WAIST - 0.15 if bottom.kind == "skirt" else bottom.end
        wear(at.trunk & (at.y < WAIST) & (at.y > cut), bottom, parsing.LOWER_CLOTHES)
    sleeves = at.on_arm & (at.arm < top.sleeve)
    bare = _neck_opening(at, outfit)
    worn = (at.trunk & (at.y > top.hem) & ~bare) | sleeves
    wear(worn, top, parsing.UPPER_CLOTHES)

    skirt = kind == SKIRT
    own = bottom.kind == "skirt" and top.kind != "dress"
    if own:
        wear(skirt, bottom, parsing.LOWER_CLOTHES)
    if top.skirt_end is not None:
        above = skirt & (at.y > top.skirt_end) if own else skirt
        wear(above, top, parsing.UPPER_CLOTHES)

    feet = at.trunk & (at.y < shoes.end)
    rgb[feet] = shoes.colours[0]
    rgb[feet & (at.y < -0.82)] = shoes.colours[1]
    label[feet] = parsing.SHOES

    if outfit.bag:
        carried = kind == BAG
        torso = at.trunk & (at.y > 0.2)
        if outfit.bag.kind == "backpack":
            strap = torso & at.front & (np.abs(np.abs(at.x) - 0.1) < 0.02)
            carried = carried | (strap & (at.y > 0.42))
        if outfit.bag.kind == "shoulder":
            x = at.x * outfit.bag.side
            # From the far shoulder (-0.1, 0.7) to the near hip (0.17, 0.15).
            carried = carried | (torso & (np.abs(x - 0.245 + 0.49 * at.y) < 0.018))
        rgb[carried] = outfit.bag.colour
        label[carried] = parsing.CARRIED

    folds = np.sin(31 * at.y + 23 * at.x) * np.sin(27 * at.z - 19 * at.y)
    cloth = (label == parsing.UPPER_CLOTHES) | (label == parsing.LOWER_CLOTHES)
    rgb *= 1 + 0.08 * (folds * cloth)[:, None]
    return label, rgb
