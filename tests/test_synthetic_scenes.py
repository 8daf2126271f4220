"""What is behind and in front of synthetic people."""

import dataclasses

import cv2
import numpy as np
import pytest

from mbnet_jax.synthetic import SyntheticOptions
from mbnet_jax.synthetic.cameras.camera import look_at_person, make_camera
from mbnet_jax.synthetic.clothes.prints import PRINTS
from mbnet_jax.synthetic.render import render
from mbnet_jax.synthetic.scenes import kinds
from mbnet_jax.synthetic.scenes.background import Surroundings, draw_occluder
from mbnet_jax.synthetic.scenes.scene import PAINTERS, draw_scene, make_scene, shadow

OPTIONS = SyntheticOptions(cameras=2)
# A person's extent, in metres.
PERSON = np.array([[-0.3, 0, -0.2], [0.3, 0, 0.2], [-0.3, 1.8, 0], [0.3, 1.8, 0]])


def stranger():
    """A red figure without limbs."""
    figure = np.zeros((134, 77, 4), np.uint8)
    figure[20:, 25:52] = 200, 0, 0, 255
    return figure


def scene_of(name, number):
    rng = np.random.default_rng(number)
    return make_scene(name, make_camera(OPTIONS, number), [stranger()], rng)


def background(scene, number, size=(128, 64), seed=0):
    camera = make_camera(OPTIONS, number)
    view = look_at_person(camera, PERSON, size, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    return draw_scene(scene, [], camera, view, size, rng)


def test_the_tables_agree_and_names_are_unique():
    assert {*PAINTERS} == {*kinds.SCENES} - {"boxes"}
    for names in (kinds.SCENES, kinds.OCCLUDERS):
        assert len({*names}) == len(names)


@pytest.mark.parametrize("name", PAINTERS)
def test_an_image_shows_a_part_of_its_cameras_scene(name):
    scene = scene_of(name, 1)
    assert scene.picture.dtype == np.uint8
    assert scene.picture.nbytes < 1.25e6
    images = [background(scene, 1, seed=seed) for seed in range(2)]
    for image in images:
        assert image.shape == (128, 64, 3) and image.dtype == np.float32
        assert np.isfinite(image).all()
        assert image.min() >= 0 and 0.1 < image.mean() < 1.5
    assert np.std(images) > 0.04
    assert np.abs(images[0] - images[1]).mean() > 0.01


def test_a_camera_has_one_scene_of_its_own():
    first, again, other = (scene_of("yard", number) for number in (1, 1, 2))
    np.testing.assert_array_equal(first.picture, again.picture)
    assert np.abs(background(first, 1) - background(other, 2)).mean() > 0.05


@pytest.mark.parametrize("name", ["street", "hall"])
def test_a_larger_image_shows_the_same_background(name):
    scene = scene_of(name, 1)
    small = background(scene, 1)
    large = background(scene, 1, (256, 128))
    averaged = cv2.resize(large, (64, 128), interpolation=cv2.INTER_AREA)
    assert np.abs(averaged - small).mean() < 0.02
    mirrored = averaged[:, ::-1]
    assert np.abs(mirrored - small).mean() > 0.02


@pytest.mark.parametrize("raised", [1.0, 1.05])
def test_the_floor_is_where_its_depth_is_seen(raised):
    """The floor is white from two metres behind the person, and black before that."""
    camera = make_camera(OPTIONS, 1)
    view = look_at_person(camera, PERSON, (128, 64), np.random.default_rng(0))
    view.position[1] *= raised
    scene = scene_of("street", 1)
    rows = len(scene.picture)
    edge = (scene.top + scene.height / (view.position[2] + 2)) * scene.density
    white = 255 * (np.arange(rows) < edge)[:, None, None]
    picture = np.broadcast_to(white, scene.picture.shape).astype(np.uint8)
    scene = dataclasses.replace(scene, picture=picture, busy=0.0)
    rng = np.random.default_rng(0)
    image = draw_scene(scene, [], camera, view, (128, 64), rng)
    seen = (image[..., 0] > 0.5).argmin(0)
    expected = view.project(np.array([[0, 0, -2.0]]))[0, 1]
    assert 5 < expected < 120
    np.testing.assert_allclose(seen, expected, atol=1)


def test_people_stand_on_the_free_floor_of_a_scene():
    for name in ("street", "stairs", "corridor"):
        scene, camera = scene_of(name, 1), make_camera(OPTIONS, 1)
        assert scene.free > camera.distance[1]
        assert scene.half > 0.5
        bottom = scene.top - len(scene.picture) / scene.density
        assert bottom < -scene.height / camera.distance[0]


def test_the_shadow_is_at_the_feet_and_away_from_the_sun():
    camera = make_camera(OPTIONS, 1)
    away = -camera.light[[0, 2]] / np.hypot(*camera.light[[0, 2]])
    x, z = np.array([0, *(0.8 * away[:1]), 2]), np.array([0, *(0.8 * away[1:]), 2])
    dull, bright = (shadow(camera, x, z, sun=sun) for sun in (False, True))
    assert 0.3 < dull[0] < 1 and dull[1] < 0.05 and dull[2] < 0.01
    assert bright[1] > 0.15
    behind = shadow(camera, -x, -z, sun=True)
    assert behind[1] < 0.05


@pytest.mark.parametrize("name", kinds.OCCLUDERS)
def test_an_occluder_hides_a_part_and_its_label(name):
    camera = Surroundings(None, [stranger()])
    shares = []
    for seed in range(8):
        image = np.full((128, 64, 3), 2, np.float32)  # brighter than anything
        label = np.zeros((128, 64), np.uint8)
        label[8:124, 16:48] = 3
        before = label.copy()
        rng = np.random.default_rng(seed)
        draw_occluder(image, label, (name,), camera, 1.0, rng)
        assert np.isfinite(image).all() and image.min() >= -1e-6
        hidden = label != before
        assert (label[hidden] == 0).all()
        assert (image.min(-1) < 1.7)[hidden].all()
        shares.append(hidden.sum() / (before > 0).sum())
    assert min(shares) < 0.9
    assert np.mean(shares) > 0.01
    if name not in ("side", "rail", "box", "pole"):
        assert min(shares) > 0


def test_another_size_has_the_same_occluder():
    small, large = (np.zeros((k * 128, k * 64), np.uint8) for k in (1, 2))
    for k, label in ((1, small), (2, large)):
        label[8 * k : 124 * k, 16 * k : 48 * k] = 3
        image = np.zeros((*label.shape, 3), np.float32)
        around = Surroundings(None, [stranger()])
        rng = np.random.default_rng(3)
        draw_occluder(image, label, ("car",), around, 1.0, rng)
    assert (large[::2, ::2] != small).mean() < 0.03


def test_the_share_of_occluded_images_is_an_option():
    never = SyntheticOptions(cameras=2, occluded=0.0)
    always = SyntheticOptions(cameras=2, occluded=1.0, occluders=("person",))
    hidden = 0
    for number in range(1, 5):
        whole, part = (render(o, 1, 1, 1, number)[1] for o in (never, always))
        assert ((part == 0) | (part == whole)).all()
        hidden += ((part == 0) & (whole > 0)).sum() / (whole > 0).sum()
    assert 0.1 < hidden / 4 < 0.95


@pytest.mark.parametrize(
    ("field", "known"),
    [
        ("backgrounds", kinds.SCENES),
        ("occluders", kinds.OCCLUDERS),
        ("prints", (*PRINTS,)),
    ],
)
def test_unknown_names_are_refused_with_those_that_exist(field, known):
    with pytest.raises(ValueError, match=f"{field}: unknown 'strret'.*") as error:
        SyntheticOptions(**{field: (known[1], "strret")})
    assert all(name in str(error.value) for name in known)


def test_many_cameras_keep_their_walls_in_bytes():
    image, label, _ = render(OPTIONS, 1, 1, 1, 1)
    pool = SyntheticOptions(cameras=2, camera_pool=2, test_camera_pool=2)
    same, as_well, _ = render(pool, 1, 1, 1, 1)
    np.testing.assert_array_equal(label, as_well)
    assert np.abs(image.astype(int) - same).max() <= 3
