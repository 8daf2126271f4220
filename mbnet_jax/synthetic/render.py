"""One image of one person in one outfit at one camera, with its parsing map."""

import functools

import numpy as np

from mbnet_jax import parsing
from mbnet_jax.synthetic.background import draw_background, draw_occluder
from mbnet_jax.synthetic.body import HAIR, SKIRT, load_body, skin
from mbnet_jax.synthetic.camera import Camera, expose, look_at_person, make_camera
from mbnet_jax.synthetic.dressing import Dressed, dress
from mbnet_jax.synthetic.identity import Identity, sample_identity
from mbnet_jax.synthetic.options import IMAGE, SyntheticOptions
from mbnet_jax.synthetic.paint import paint
from mbnet_jax.synthetic.pose import turn, walking_pose
from mbnet_jax.synthetic.raster import rasterize, vertex_normals
from mbnet_jax.synthetic.wardrobe import Outfit, make_wardrobe, sample_outfits

_SAMPLES = 2  # along each side of a pixel
_OCCLUDED = 0.15  # share of the images


@functools.lru_cache(maxsize=64)
def _camera(options: SyntheticOptions, number: int) -> Camera:
    return make_camera(options, number)


@functools.lru_cache(maxsize=4)
def _wardrobe(options: SyntheticOptions):
    return make_wardrobe(options)


@functools.lru_cache(maxsize=8)
def _dressed(
    options: SyntheticOptions, pid: int, outfit: int
) -> tuple[Identity, Outfit, Dressed]:
    identity = sample_identity(options, pid)
    worn = sample_outfits(options, _wardrobe(options), pid, identity.female)
    worn = worn[outfit - 1]
    return identity, worn, dress(load_body(), identity, worn)


def _posed(
    dressed: Dressed, identity: Identity, yaw: float, rng: np.random.Generator
) -> np.ndarray:
    """The person's vertices in the world, standing at the origin; [V, 3]."""
    body = load_body()
    pace = 0.08 if rng.random() < 0.15 else rng.uniform(0.7, 1.0)
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
    posed = posed @ turn(1, yaw).T.astype(np.float32)
    low, high = posed.min(0), posed.max(0)
    return posed - np.float32([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])


def render(
    options: SyntheticOptions, pid: int, outfit: int, camera: int, number: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Draw one image.

    Args:
      options: the dataset's.
      pid: the person, from 1.
      outfit: from 1.
      camera: from 1.
      number: which of the cell's images, from 1.

    Returns:
      uint8 [h, w, 3] RGB, uint8 [h, w] canonical labels, and the JPEG quality.
    """
    rng = options.rng(IMAGE, pid, outfit, camera, number)
    eye = _camera(options, camera)
    identity, worn, dressed = _dressed(options, pid, outfit)
    # Most people pass a camera one way or back; some go anywhere.
    way = rng.choice((0.0, np.pi)) + rng.normal(0, 0.45)
    yaw = rng.uniform(-np.pi, np.pi) if rng.random() < 0.3 else eye.yaw + way
    posed = _posed(dressed, identity, yaw, rng)

    height, width = options.height, options.width
    view = look_at_person(eye, posed, (height, width), rng)
    image = draw_background(eye, view, height, width, rng)

    points = view.project(posed)
    points[:, :2] *= _SAMPLES
    two_sided = (dressed.face_kind == SKIRT) | (dressed.face_kind == HAIR)
    seen = rasterize(
        points, dressed.faces, _SAMPLES * width, _SAMPLES * height, two_sided
    )
    normals = vertex_normals(posed, dressed.faces)
    normal = seen.interpolate(normals, dressed.faces)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    # A skirt or a lock of hair seen from its inner side.
    away = two_sided[seen.face] & (normal @ view.axes[2] > 0)
    normal[away] *= -1
    label, colour = paint(
        dressed.face_kind[seen.face],
        seen.interpolate(dressed.canonical, dressed.faces),
        identity,
        worn,
    )
    light = eye.ambient * (0.8 + 0.2 * normal[:, 1])
    light += eye.key * np.clip(normal @ eye.light, 0, None)
    # Surfaces that turn away from the eye are a little darker (folds, hair, pores).
    light *= 0.8 + 0.2 * np.clip(-(normal @ view.axes[2]), 0, 1)

    def pixels(values: np.ndarray) -> np.ndarray:
        """Sum over each pixel's samples; [n, c] -> [height, width, c]."""
        full = np.zeros((_SAMPLES**2 * height * width, values.shape[1]), np.float32)
        full[seen.pixel] = values
        blocks = full.reshape(height, _SAMPLES, width, _SAMPLES, -1)
        return blocks.sum((1, 3))

    part = np.eye(parsing.NUM_LABELS, dtype=np.float32)[label]
    total = pixels(np.concatenate([colour * light[:, None], part], axis=1))
    share = total[..., 3:] / _SAMPLES**2
    share[..., 0] = 1 - share.sum(-1)
    image = image * share[..., :1] + total[..., :3] / _SAMPLES**2
    # The label with most of the pixel; of equal ones, a part before background.
    share[..., 0] -= 1e-3
    parts = share.argmax(-1).astype(np.uint8)
    if rng.random() < _OCCLUDED:
        draw_occluder(image, parts, rng)
    image, quality = expose(image, eye, rng)
    return image, parts, quality
