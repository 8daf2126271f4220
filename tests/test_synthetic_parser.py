"""Parsing maps with a parser's errors in synthetic datasets, and contact sheets."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from mbnet_jax.data.datasets import read_records
from mbnet_jax.parsing import labels as parsing
from mbnet_jax.synthetic import SyntheticOptions, generate
from mbnet_jax.synthetic.parser_errors import difficulty_of, parser_errors
from mbnet_jax.synthetic.render import render
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
KEYS = [(pid, camera) for pid in (1, 2, 3, 4) for camera in (1, 2, 3)]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("cameras") / "made"
    return generate(root, OPTIONS, workers=1, progress=False)


@pytest.fixture(scope="module")
def labels():
    """The exact maps of some images."""
    options = SyntheticOptions()
    return [render(options, pid, 1, camera, 1)[1] for pid, camera in KEYS]


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.*g")
    }


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
    call = ["--root", str(dataset), "--out", str(out)]
    main([*call, "--cameras", "2"])
    assert Image.open(out).size == (128, 384)
    main([*call, "--cameras", "2", "--no-maps", "--width", "64"])
    assert Image.open(out).size == (64, 64)
    main([*call, "--people", "2", "--split", "train", "--no-maps"])
    images = np.vstack([sheet[:128], sheet[384:512]])
    np.testing.assert_array_equal(Image.open(out), images)
    for flag in ("--cameras", "--width"):
        with pytest.raises(SystemExit, match="must be at least 1, got 0"):
            main([*call, flag, "0"])
