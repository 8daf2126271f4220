"""Poses a dressed person and draws them without a background."""

import numpy as np

from mbnet_jax.parsing import labels as parsing
from mbnet_jax.synthetic.body import HAIR, SKIRT, load_body, skin
from mbnet_jax.synthetic.dressing import Dressed
from mbnet_jax.synthetic.identity import Identity
from mbnet_jax.synthetic.paint import paint
from mbnet_jax.synthetic.pose import rotation, walking_pose
from mbnet_jax.synthetic.raster import rasterize, vertex_normals
from mbnet_jax.synthetic.wardrobe import Outfit

_SAMPLES = 2  # along each side of a pixel
_STANDING = 0.15  # share of the images


def pose_figure(
    dressed: Dressed, identity: Identity, yaw: float, rng: np.random.Generator
) -> np.ndarray:
    """Poses the person at a random moment of their walk, on the floor at the origin.

    Args:
      dressed: the person in an outfit.
      identity: the person, for the gait.
      yaw: walking direction, radians; 0 is towards +z.
      rng: draws phase, pace and the rotation of the head.

    Returns:
      float32 [V, 3] vertices in metres.
    """
    body = load_body()
    pace = 0.08 if rng.random() < _STANDING else rng.uniform(0.7, 1.0)
    rotations = walking_pose(
        body,
        dressed.joints,
        identity.gait,
        phase=rng.uniform(0, 2 * np.pi),
        pace=pace * dressed.stride,
        look=rng.normal(0, 0.3),
    )
    transforms = body.transforms(dressed.joints, rotations)
    hand = transforms[dressed.grip_bone]
    hanging = np.eye(3, 4, dtype=np.float32)[None]
    hanging[0, :, 3] = hand[:, :3] @ dressed.grip + hand[:, 3] - dressed.grip
    transforms = np.concatenate([transforms, hanging])
    posed = skin(dressed.vertices, transforms, dressed.bone_index, dressed.bone_weight)
    posed = posed @ rotation(1, yaw).T.astype(np.float32)
    low, high = posed.min(0), posed.max(0)
    return posed - np.float32([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])


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
