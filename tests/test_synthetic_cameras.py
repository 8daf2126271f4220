"""Varied cameras of synthetic datasets, and boxes that are off."""

import dataclasses

import cv2
import numpy as np
import pytest

from mbnet_jax.synthetic import SyntheticOptions
from mbnet_jax.synthetic.cameras.boxes import misplaced
from mbnet_jax.synthetic.cameras.camera import View, look_at_person, make_camera
from mbnet_jax.synthetic.cameras.kinds import LIGHTS, PLACES, SENSORS, make_kind
from mbnet_jax.synthetic.cameras.sensor import capture
from mbnet_jax.synthetic.generate import plan

OPTIONS = SyntheticOptions(
    cameras=2, camera_pool=5, test_camera_pool=4, camera_kinds="varied", seed=3
)
POINTS = np.random.default_rng(0).normal(0, 0.3, (200, 3)) + np.array([0, 0.9, 0])


@pytest.fixture(scope="module")
def kinds():
    return [make_kind(OPTIONS, number) for number in range(1, 301)]


def test_every_place_light_and_sensor_occurs(kinds):
    assert {kind.place for kind in kinds} == {*PLACES}
    assert {kind.lighting for kind in kinds} == {*LIGHTS}
    assert {kind.sensor for kind in kinds} == {*SENSORS}
    heights = [kind.height for kind in kinds]
    assert 0.8 <= min(heights) < 1.5
    assert 5 < max(heights) <= 6
    rows = [kind.rows for kind in kinds]
    assert 40 <= min(rows) < 60
    assert 300 < max(rows) <= 400


def test_a_camera_depends_only_on_seed_and_number(kinds):
    other = dataclasses.replace(OPTIONS, camera_pool=90, height=256, parser_errors=1.0)
    for name, value in vars(make_kind(other, 7)).items():
        np.testing.assert_array_equal(value, getattr(kinds[6], name))
    changed = make_kind(dataclasses.replace(OPTIONS, seed=4), 7)
    assert changed.height != kinds[6].height != kinds[7].height


def test_nobody_in_training_meets_a_test_camera():
    options = dataclasses.replace(OPTIONS, train_identities=30, test_identities=20)
    met = {"train": set(), "test": set()}
    for shots in plan(options):
        of_cell = {shot.camera for shot in shots}
        assert len(of_cell) == options.cameras
        assert of_cell == {*options.cameras_of(shots[0].pid)}
        met["train" if shots[0].split == "train" else "test"] |= of_cell
    assert met == {"train": {*range(1, 6)}, "test": {*range(6, 10)}}


def test_rays_undo_the_projection_of_a_bent_lens(kinds):
    plain = make_camera(OPTIONS, 1)
    for kind in (k for k in kinds[:60] if k.bend):
        camera = dataclasses.replace(plain, kind=kind)
        rng = np.random.default_rng(1)
        view = look_at_person(camera, POINTS, (128, 64), rng)
        rays = view.rays(128, 64)
        points = (view.position + 3 * rays).reshape(-1, 3)
        row, column = np.indices((128, 64)) + 0.5
        seen = view.project(points)
        np.testing.assert_allclose(seen[:, 0], column.ravel(), atol=0.5)
        np.testing.assert_allclose(seen[:, 1], row.ravel(), atol=0.5)
        np.testing.assert_allclose(seen[:, 2], 3)


def test_a_lens_bends_lines_off_the_axis_alone():
    straight = View(np.zeros(3), np.diag([1.0, 1.0, -1.0]), np.zeros(2), np.ones(2))
    barrel = dataclasses.replace(straight, bend=-0.1)
    ahead, aside = np.array([[0, 0, -2.0]]), np.array([[2.0, 0, -2.0]])
    np.testing.assert_array_equal(barrel.project(ahead), straight.project(ahead))
    np.testing.assert_allclose(barrel.project(aside), [[0.9, 0, 2]])


def test_the_person_fills_the_view_of_every_kind_of_camera(kinds):
    plain = make_camera(SyntheticOptions(), 1)
    for kind in kinds[:100]:
        same = {name: getattr(kind, name) for name in ("height", "distance")}
        camera = dataclasses.replace(plain, kind=kind, **same)
        view = look_at_person(camera, POINTS, (128, 64), np.random.default_rng(2))
        np.testing.assert_allclose(view.axes @ view.axes.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(view.axes) == pytest.approx(-1)  # forward, not backward
        column, row, depth = view.project(POINTS).T
        assert depth.min() > 0.5
        assert np.ptp(row) > 0.8 * 128
        assert ((column > -8) & (column < 72)).all()


def test_plain_cameras_and_right_boxes_are_those_of_the_default_dataset():
    camera = make_camera(SyntheticOptions(), 2)
    assert camera.kind is None
    one, other, off = (
        look_at_person(camera, POINTS, (128, 64), np.random.default_rng(0), *amount)
        for amount in ((), (0.0,), (1.0,))
    )
    for name in ("position", "axes", "corner", "scale"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    # The camera stays where it was; the box does not.
    np.testing.assert_array_equal(off.position, one.position)
    assert (off.corner != one.corner).any()


def test_most_boxes_are_fine_and_more_are_off_the_larger_the_amount():
    right = np.array([3.0, 5.0]), np.array([1.0, 2.0])

    def overlap(amount, seed):
        boxes = right, misplaced(*right, amount, np.random.default_rng(seed))
        low, high = (np.stack([c + sign * e / 2 for c, e in boxes]) for sign in (-1, 1))
        both = np.prod(high.min(0) - low.max(0))
        return both / (sum(np.prod(e) for _, e in boxes) - both)

    mean = []
    for amount in (0.0, 0.3, 0.6, 1.0):
        found = np.array([overlap(amount, seed) for seed in range(400)])
        mean.append(found.mean())
        assert np.median(found) > 0.85
    assert mean[0] == pytest.approx(1)
    assert mean == sorted(mean, reverse=True)
    assert 0.05 < (found < 0.7).mean() < 0.35  # at 1


def test_an_infrared_camera_sees_little_colour_and_few_rows_little_detail(kinds):
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.random((32, 16, 3), np.float32), (64, 128))

    def picture(kind):
        taken, quality = capture(image, kind, np.random.default_rng(1))
        assert taken.shape == (128, 64, 3)
        assert taken.dtype == np.uint8
        assert 20 <= quality <= 95
        return taken.astype(float)

    infrared = next(kind for kind in kinds if kind.lighting == "infrared")
    assert np.ptp(picture(infrared), axis=2).mean() < 6
    clean = dataclasses.replace(
        kinds[0], noise=0, chroma=0, interlaced=False, motion=0, sharpening=0
    )
    detail = [
        np.abs(np.diff(picture(dataclasses.replace(clean, rows=rows)), axis=0)).mean()
        for rows in (40, 80, 400)
    ]
    assert detail == sorted(detail)
    assert detail[0] < 0.7 * detail[2]


def test_a_cameras_images_are_alike():
    """Images of one camera differ less in brightness than those of several."""
    grey = np.full((128, 64, 3), 0.5, np.float32)
    level = np.array(
        [
            [
                capture(grey, make_kind(OPTIONS, camera), np.random.default_rng(n))[
                    0
                ].mean()
                for n in range(8)
            ]
            for camera in range(1, 31)
        ]
    )
    assert level.std(1).mean() < 0.5 * level.mean(1).std()
