"""Varied cameras, boxes and parsing maps that are off, in synthetic datasets."""

import dataclasses

import cv2
import numpy as np
import pytest
from PIL import Image

from mbnet_jax.data.datasets import read_records
from mbnet_jax.parsing import labels as parsing
from mbnet_jax.synthetic import SyntheticOptions, generate
from mbnet_jax.synthetic.boxes import misplaced
from mbnet_jax.synthetic.camera import View, look_at_person, make_camera
from mbnet_jax.synthetic.camera_kinds import LIGHTS, PLACES, SENSORS, make_kind
from mbnet_jax.synthetic.generate import plan
from mbnet_jax.synthetic.parser_errors import difficulty_of, parser_errors
from mbnet_jax.synthetic.render import render
from mbnet_jax.synthetic.sensor import capture
from mbnet_jax.synthetic.sheet import camera_sheet, contact_sheet, main

OPTIONS = SyntheticOptions(
    train_identities=2,
    test_identities=1,
    outfits=1,
    cameras=2,
    train_images=1,
    camera_pool=5,
    test_camera_pool=4,
    camera_kinds="varied",
    box_errors=0.5,
    parser_errors=0.7,
    seed=3,
)
EXACT = dataclasses.replace(OPTIONS, parser_errors=0.0)
POINTS = np.random.default_rng(0).normal(0, 0.3, (200, 3)) + np.array([0, 0.9, 0])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("cameras") / "made"
    return generate(root, OPTIONS, workers=1, progress=False)


@pytest.fixture(scope="module")
def kinds():
    return [make_kind(OPTIONS, number) for number in range(1, 301)]


@pytest.fixture(scope="module")
def labels():
    """The exact maps of some images."""
    options = SyntheticOptions()
    return [render(options, pid, 1, camera, 1)[1] for pid, camera in KEYS]


KEYS = [(pid, camera) for pid in (1, 2, 3, 4) for camera in (1, 2, 3)]


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.*g")
    }


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
    # Of a camera, place, light and sensor are drawn independently of the others'.
    assert make_kind(EXACT, 7).height == kinds[6].height


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
    for kind in (k for k in kinds[:60] if k.bend):
        camera = dataclasses.replace(make_camera(EXACT, 1), kind=kind)
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


def agreement(label, other):
    """Mean intersection over union of the parts in `label`."""
    found = []
    for part in np.unique(label):
        one, two = label == part, other == part
        found.append((one & two).sum() / (one | two).sum())
    return np.mean(found)


def test_parsers_err_more_the_larger_the_amount_and_the_harder_the_image(labels):
    amounts, hard = (0.0, 0.1, 0.3, 0.6, 1.0), (0.0, 0.5, 1.0)
    mean = np.zeros((len(amounts), len(hard)))
    for index, label in enumerate(labels):
        for place in np.ndindex(mean.shape):
            amount, difficult = amounts[place[0]], hard[place[1]]
            rng = np.random.default_rng(index)
            found = parser_errors(label, rng, amount, difficult)
            assert found.dtype == np.uint8
            assert found.max() < parsing.NUM_LABELS
            if amount == 0:
                np.testing.assert_array_equal(found, label)
            mean[place] += agreement(label, found) / len(labels)
    assert (np.diff(mean, axis=0) < 0).all()
    assert (np.diff(mean[1:], axis=1) < 0).all()
    assert 0.6 < mean[-1, 0] < 0.9


@pytest.mark.parametrize("part", [parsing.BACKGROUND, parsing.UPPER_CLOTHES])
def test_maps_of_one_part_have_errors_too(part):
    label = np.full((64, 32), part, np.uint8)
    for seed in range(40):
        found = parser_errors(label, np.random.default_rng(seed), 1.0, 1.0)
        assert found.shape == label.shape
        assert found.max() < parsing.NUM_LABELS


def test_dark_flat_and_coarse_images_are_hard():
    image = np.random.default_rng(0).integers(0, 255, (64, 32, 3)).astype(np.uint8)
    assert difficulty_of(image, 400) == 0
    assert difficulty_of(image // 8, 400) > 0.3
    assert difficulty_of(image // 8 + 110, 400) > 0.1
    assert 0.3 < difficulty_of(image, 40) < difficulty_of(image // 8, 40) <= 1


def test_a_parsers_maps_are_beside_the_exact_ones(dataset, tmp_path):
    root = generate(tmp_path / "exact", EXACT, workers=1, progress=False)
    assert not (root / "parsing_exact").exists()
    assert files(dataset / "parsing_exact") == files(root / "parsing")
    assert files(dataset / "parsing").keys() == files(root / "parsing").keys()
    assert files(dataset / "parsing") != files(root / "parsing")
    for split in ("train", "query", "gallery"):
        assert files(dataset / split) == files(root / split)


def test_exact_maps_that_are_missing_are_made_again(dataset, tmp_path):
    options = dataclasses.replace(OPTIONS, train_identities=1, test_identities=1)
    root = generate(tmp_path / "made", options, workers=1, progress=False)
    before = files(root)
    lost = [*(root / "parsing_exact").rglob("*.png")][:2]
    lost += [*(root / "parsing").rglob("*.png")][-1:]
    for path in lost:
        path.unlink()
    kept = next((root / "parsing_exact").rglob("*.png"))
    kept.write_bytes(b"kept")
    generate(root, options, workers=1, progress=False)
    after = files(root)
    assert after.pop(kept.relative_to(root).as_posix()) == b"kept"
    assert after.items() <= before.items()
    assert len(after) == len(before) - 1


def test_readers_take_either_kind_of_maps(dataset):
    read = read_records("synthetic", dataset)
    exact = read_records("synthetic", dataset, dataset / "parsing_exact")
    for split, rows in exact.items():
        for own, row in zip(read[split], rows, strict=True):
            assert own.path == row.path
            assert own.parsing_path.parent == dataset / "parsing" / split
            assert row.parsing_path.parent == dataset / "parsing_exact" / split
            assert row.parsing_path.is_file()


def test_sheets_show_a_parsers_maps_above_the_exact_ones(dataset, tmp_path):
    sheet = contact_sheet(dataset, 9)
    assert sheet.shape == (3 * 3 * 128, 2 * 64, 3)
    name = f"train/0002_1_c{OPTIONS.cameras_of(2)[1]}_1"
    picture, found, exact = sheet[384:768, 64:].reshape(3, 128, 64, 3)
    palette = np.array(parsing.PALETTE)
    np.testing.assert_array_equal(picture, Image.open(dataset / f"{name}.jpg"))
    for drawn, folder in ((found, "parsing"), (exact, "parsing_exact")):
        label = np.asarray(Image.open(dataset / folder / f"{name}.png"))
        np.testing.assert_array_equal(drawn, palette[label])
    assert contact_sheet(dataset, 9, "test").shape == (3 * 128, 2 * 64, 3)
    met = {*OPTIONS.cameras_of(1), *OPTIONS.cameras_of(2)}
    assert camera_sheet(dataset, 9, "train").shape == (384, 64 * len(met), 3)
    out = tmp_path / "sheet.png"
    main(["--root", str(dataset), "--out", str(out), "--cameras", "2"])
    assert Image.open(out).size == (128, 384)
    with pytest.raises(SystemExit, match="must be at least 1, got 0"):
        main(["--root", str(dataset), "--out", str(out), "--cameras", "0"])
