"""A dressed person's mesh at rest: garments and hair inflate regions of the body.

Garments are cut in canonical coordinates: a vertex's position on one canonical adult,
the same for everybody, so that one garment fits all.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from mbnet_jax.synthetic.clothes.accessories import HATS, WRAPS
from mbnet_jax.synthetic.clothes.garments import Outfit
from mbnet_jax.synthetic.people.body import BODY, HAIR, SKIRT, Body
from mbnet_jax.synthetic.people.fitting import Fitting, Hold, Part
from mbnet_jax.synthetic.people.identity import Identity
from mbnet_jax.synthetic.people.inflation import inflation
from mbnet_jax.synthetic.people.parts import holds_of, parts_of
from mbnet_jax.synthetic.people.raster import vertex_normals
from mbnet_jax.synthetic.people.shapes import ellipsoid
from mbnet_jax.synthetic.people.worn import WORN

# Kinds of faces beyond those of the body's mesh.
KNOT, BAG = 3, 4
_HEAD_Z = 0.05


@dataclasses.dataclass(frozen=True)
class Dressed:
    """A person in an outfit, at rest.

    Attributes:
      vertices: float32 [V, 3], metres.
      joints: float32 [J, 3].
      faces: int64 [F, 3].
      face_kind: int64 [F]: BODY, SKIRT, HAIR, KNOT (of hair), BAG, or WORN and the
        accessory's index.
      canonical: float32 [V, 6]: x, y, z on the canonical adult, position along the
        arm, weights of arm and head; for an accessory x, y, z from its centre, zeros.
      bone_index, bone_weight: int64, float32 [V, 4]; a bag held in the hand belongs
        to an extra bone after the last, which does not rotate, and a trolley to a
        second one, which stays on the floor.
      stride: the share of a full stride that the outfit allows, 0..1.
      grip: float64 [3], the point at rest where that bag is held.
      grip_bone: index of the bone of the hand that holds it.
      holds: where hands are held.
      boxed: bool [V], what a detector's box of the person spans.
      own: bool [V], the body, and nothing carried.
    """

    vertices: np.ndarray
    joints: np.ndarray
    faces: np.ndarray
    face_kind: np.ndarray
    canonical: np.ndarray
    bone_index: np.ndarray
    bone_weight: np.ndarray
    stride: float
    grip: np.ndarray
    grip_bone: int
    holds: tuple[Hold, ...]
    boxed: np.ndarray
    own: np.ndarray


def _knots_and_bags(
    body: Body, fitting: Fitting, identity: Identity, outfit: Outfit
) -> Iterator[tuple[int, Part]]:
    """Yields hair knots and the bag, each with the kind of its faces."""

    def rounded(
        centre: np.ndarray, radii: tuple[float, ...], power: float, bone: str
    ) -> Part:
        return Part(ellipsoid(centre, np.array(radii), power), centre, bone)

    near, bag, length = fitting.near, outfit.bag, identity.hair_length
    wrapped = outfit.has(*WRAPS)
    if identity.hair == "bun" and not wrapped:
        size = 0.035 + 0.02 * length
        centre = near(0, 0.96, -0.045) - (0, 0, 0.02)
        yield KNOT, rounded(centre, (size, size, size), 1.0, "head")
    if identity.hair == "ponytail" and not wrapped:
        drop = 0.09 + 0.1 * length
        centre = near(0, 0.94, -0.045) - (0, drop - 0.03, 0.025)
        yield KNOT, rounded(centre, (0.035, drop, 0.03), 0.8, "head")
    if bag and bag.kind == "backpack":
        centre = near(0, 0.48, -0.1) - (0, 0, 0.08)
        yield BAG, rounded(centre, (0.15, 0.21, 0.09), 0.4, "spine_03")
    if bag and bag.kind == "shoulder":
        centre = near(0.2 * bag.side, 0.14, 0) - (-0.05 * bag.side, 0, 0)
        yield BAG, rounded(centre, (0.045, 0.11, 0.15), 0.4, "pelvis")
    if bag and bag.kind == "hand":
        centre = fitting.palm(bag.side) - (0, 0.22, 0)
        yield BAG, rounded(centre, (0.05, 0.14, 0.17), 0.45, "hanging")


def _holding(outfit: Outfit) -> int:
    """Returns the side of the hand that a bag or trolley hangs from; 0: neither."""
    if outfit.bag and outfit.bag.kind == "hand":
        return outfit.bag.side
    for item in outfit.accessories:
        if item.kind in ("handbag", "trolley"):
            return item.side
    return 0


def _bone(body: Body, name: str) -> int:
    """Returns the index of a bone, also of the two that follow the hand."""
    extra = {"hanging": 0, "rolling": 1}
    if name in extra:
        return len(body.bones) + extra[name]
    return body.bones.index(name)


def _skirt_ends(outfit: Outfit) -> list[float]:
    """Returns the canonical heights at which skirts (and coats) end."""
    top, bottom = outfit.top, outfit.bottom
    ends = [top.skirt_end] if top.skirt_end is not None else []
    # A dress is worn instead of the outfit's bottom.
    if bottom.kind == "skirt" and top.kind != "dress":
        ends.append(bottom.end)
    return ends


def _widen(
    body: Body, vertices: np.ndarray, joints: np.ndarray, outfit: Outfit
) -> None:
    """Moves the skirt and the long hair away from the body, in place."""
    skirt = np.unique(body.faces[body.face_mesh == SKIRT])
    away = vertices[skirt] - joints[body.bones.index("pelvis")]
    wider = 0.16 if outfit.top.kind == "coat" else 0.09
    flare = wider + 0.25 * np.clip(0.1 - body.canonical[skirt, 1], 0, 0.3)
    vertices[skirt] += away * flare[:, None] * (1, 0, 1)

    cards = np.unique(body.faces[body.face_mesh == HAIR])
    out = (body.canonical[cards] - (0, 0, _HEAD_Z)) * (1, 0, 1)
    out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)
    vertices[cards] += 0.012 * out


def _drawn(body: Body, identity: Identity, outfit: Outfit) -> np.ndarray:
    """Returns which faces of the body's mesh are drawn, bool [F]."""
    drawn = body.face_mesh == BODY
    corners = body.canonical[body.faces]  # [F, 3, 3]
    ends = _skirt_ends(outfit)
    if ends:
        # Cut at the upper edge, which both triangles of a quad share.
        upper = corners[:, :, 1].max(1)
        skirt = (body.face_mesh == SKIRT) & (upper > min(ends))
        if outfit.top.skirt_end is None:  # The top's hem hangs over the skirt.
            skirt &= upper < outfit.top.hem + 0.015
        drawn |= skirt
    if identity.hair in ("bob", "long") and not outfit.has(*WRAPS):
        x, y, z = corners.mean(1).T
        length = identity.hair_length
        end = 0.79 - 0.05 * length if identity.hair == "bob" else 0.7 - 0.25 * length
        in_face = (z > 0.07) & (np.abs(x) < 0.065)
        locks = (body.face_mesh == HAIR) & (y > end) & ~in_face
        if outfit.has(*HATS):
            locks &= y < 0.915
        drawn |= locks
    return drawn


def dress(body: Body, identity: Identity, outfit: Outfit) -> Dressed:
    """Returns the mesh of a person in an outfit, at rest."""
    vertices, joints = body.shape(body.coefficients(identity.phenotype))
    normals = vertex_normals(vertices, body.faces[body.face_mesh == BODY])
    vertices = vertices + normals * inflation(body, identity, outfit)[:, None]
    _widen(body, vertices, joints, outfit)

    drawn = _drawn(body, identity, outfit)
    along = np.stack([body.arm_coordinate, body.arm_weight, body.head_weight], axis=1)
    # Lists of parts: the body, then what is rigid.
    points = [vertices]
    faces, kinds = [body.faces[drawn]], [body.face_mesh[drawn]]
    canonical = [np.concatenate([body.canonical, along], axis=1)]
    index, weight = [body.bone_index], [body.bone_weight]
    boxed = [np.ones(len(vertices), bool)]
    fitting = Fitting(body, vertices, joints)
    parts = [*_knots_and_bags(body, fitting, identity, outfit)]
    parts += [(WORN + number, part) for number, part in parts_of(fitting, outfit)]
    for kind, part in parts:
        surface, triangles = part.mesh
        faces.append(triangles + sum(map(len, points)))
        points.append(surface)
        kinds.append(np.full(len(triangles), kind))
        canonical.append(np.pad(surface - part.centre, ((0, 0), (0, 3))))
        index.append(np.full((len(surface), 4), _bone(body, part.bone)))
        weight.append(np.tile(np.float32([1, 0, 0, 0]), (len(surface), 1)))
        boxed.append(np.full(len(surface), part.boxed))

    used, renumbered = np.unique(np.concatenate(faces), return_inverse=True)
    side = _holding(outfit)
    return Dressed(
        vertices=np.concatenate(points)[used].astype(np.float32),
        joints=joints,
        faces=renumbered.reshape(-1, 3),
        face_kind=np.concatenate(kinds).astype(np.int64),
        canonical=np.concatenate(canonical)[used].astype(np.float32),
        bone_index=np.concatenate(index)[used],
        bone_weight=np.concatenate(weight)[used],
        # A skirt holds the knees together.
        stride=0.65 if _skirt_ends(outfit) else 1.0,
        grip=fitting.palm(side) if side else np.zeros(3),
        grip_bone=body.bones.index("hand_l" if side > 0 else "hand_r"),
        holds=tuple(holds_of(fitting, outfit)),
        boxed=np.concatenate(boxed)[used],
        own=used < len(vertices),
    )
