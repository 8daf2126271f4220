"""Poses a dressed person and draws them without a background."""

import numpy as np

from mbnet_jax.parsing import labels as parsing
from mbnet_jax.synthetic.clothes.garments import Outfit
from mbnet_jax.synthetic.people.body import HAIR, SKIRT, load_body, skin
from mbnet_jax.synthetic.people.dressing import Dressed
from mbnet_jax.synthetic.people.gait import rotation, walking_pose
from mbnet_jax.synthetic.people.identity import Identity
from mbnet_jax.synthetic.people.paint import paint
from mbnet_jax.synthetic.people.poses import any_pose, bend_arm
from mbnet_jax.synthetic.people.raster import rasterize, vertex_normals
from mbnet_jax.synthetic.people.worn import WORN

_SAMPLES = 2  # along each side of a pixel
_STANDING = 0.15  # share of the images


def pose_figure(
    dressed: Dressed,
    identity: Identity,
    yaw: float,
    rng: np.random.Generator,
    poses: str = "walking",
) -> np.ndarray:
    """Poses the person at a random moment, on the floor at the origin.

    Args:
      dressed: the person in an outfit.
      identity: the person, for the gait.
      yaw: walking direction, radians; 0 is towards +z.
      rng: draws the pose.
      poses: "walking", or "any" of `poses.POSES`.

    Returns:
      float32 [V, 3] vertices in metres.
    """
    body = load_body()
    if poses == "any":
        rotations = any_pose(body, dressed.joints, identity.gait, dressed.stride, rng)
    else:
        pace = 0.08 if rng.random() < _STANDING else rng.uniform(0.7, 1.0)
        rotations = walking_pose(
            body,
            dressed.joints,
            identity.gait,
            phase=rng.uniform(0, 2 * np.pi),
            pace=pace * dressed.stride,
            look=rng.normal(0, 0.3),
        )
    posed = place_figure(dressed, rotations)
    posed = posed @ rotation(1, yaw).T.astype(np.float32)
    low, high = posed[dressed.boxed].min(0), posed[dressed.boxed].max(0)
    floor = posed[dressed.own, 1].min() if poses == "any" else low[1]
    return posed - np.float32([(low[0] + high[0]) / 2, floor, (low[2] + high[2]) / 2])


def place_figure(dressed: Dressed, rotations: np.ndarray) -> np.ndarray:
    """Poses the person by the rotations of the bones, float32 [V, 3].

    Hands that hold something are bent to it; `rotations` are changed in place.
    """
    body = load_body()
    for hold in dressed.holds:
        bend_arm(body, dressed.joints, rotations, hold)
    transforms = body.transforms(dressed.joints, rotations)
    hand = transforms[dressed.grip_bone]
    hanging = np.eye(3, 4, dtype=np.float32)[None]
    hanging[0, :, 3] = hand[:, :3] @ dressed.grip + hand[:, 3] - dressed.grip
    rolling = hanging.copy()
    rolling[0, 1, 3] = 0
    transforms = np.concatenate([transforms, hanging, rolling])
    posed = skin(dressed.vertices, transforms, dressed.bone_index, dressed.bone_weight)
    on_floor = (dressed.bone_index[:, 0] == len(transforms) - 1) & ~dressed.own
    if on_floor.any():
        floor = posed[dressed.own, 1].min() - dressed.vertices[dressed.own, 1].min()
        posed[on_floor, 1] += floor
    return posed


def draw_figure(
    dressed: Dressed,
    identity: Identity,
    outfit: Outfit,
    posed: np.ndarray,
    points: np.ndarray,
    forward: np.ndarray,
    light: tuple[np.ndarray, float, float],
    size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a posed person: colour, and the share of each label in each pixel.

    Args:
      dressed: the person in an outfit.
      identity: the person, for skin, hair and face.
      outfit: the clothes.
      posed: float32 [V, 3] vertices in the world.
      points: float [V, 3], the same projected: column and row in pixels, depth.
      forward: float [3], the viewing direction of the camera.
      light: unit vector [3] towards the key light, strength of the ambient light
        and of the key light.
      size: rows and columns of the image.

    Returns:
      float32 [h, w, 3], RGB times the covered share of the pixel, and float32
      [h, w, 8], the share of each canonical label; these sum to 1.
    """
    height, width = size
    scaled = points * (_SAMPLES, _SAMPLES, 1)
    two_sided = (dressed.face_kind == SKIRT) | (dressed.face_kind == HAIR)
    two_sided |= dressed.face_kind >= WORN
    seen = rasterize(
        scaled, dressed.faces, _SAMPLES * width, _SAMPLES * height, two_sided
    )
    normals = vertex_normals(posed, dressed.faces)
    both = np.concatenate([normals, dressed.canonical], axis=1)
    both = seen.interpolate(both, dressed.faces)
    normal, canonical = both[:, :3], both[:, 3:]
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    # A skirt or hair seen from the inside.
    normal[two_sided[seen.face] & (normal @ forward > 0)] *= -1
    kind = dressed.face_kind[seen.face]
    label, colour = paint(kind, canonical, identity, outfit)
    towards, ambient, key = light
    bright = ambient * (0.8 + 0.2 * normal[:, 1])
    bright += key * np.clip(normal @ towards, 0, None)
    # Surfaces at grazing angles are a little darker (folds, hair, pores).
    bright *= 0.8 + 0.2 * np.clip(-(normal @ forward), 0, 1)

    part = np.eye(parsing.NUM_LABELS, dtype=np.float32)[label]
    values = np.concatenate([colour * bright[:, None], part], axis=1)
    full = np.zeros((_SAMPLES**2 * height * width, values.shape[1]), np.float32)
    full[seen.pixel] = values
    blocks = full.reshape(height, _SAMPLES, width, _SAMPLES, -1)
    total = sum(blocks[:, i, :, j] for i in range(_SAMPLES) for j in range(_SAMPLES))
    total /= _SAMPLES**2
    share = total[..., 3:]
    share[..., 0] = 1 - share.sum(-1)
    return total[..., :3], share
