"""The files of a synthetic dataset: determinism, restarts, labels, number."""

import itertools
import json
import shutil

import cv2
import numpy as np
import pytest
from folders import contents
from PIL import Image

from mbnet_jax.parsing import labels as parsing
from mbnet_jax.synthetic import SyntheticOptions, generate
from mbnet_jax.synthetic.generate import DONE, plan, read_options
from mbnet_jax.synthetic.render import render
from mbnet_jax.synthetic.sheet import contact_sheet

OPTIONS = SyntheticOptions(
    train_identities=2,
    test_identities=2,
    outfits=2,
    cameras=2,
    train_images=2,
    test_images=3,
    seed=5,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("synthetic") / "made"
    assert generate(root, OPTIONS, workers=1, progress=False) == root
    return root


def test_every_cell_has_its_images_and_parsing_maps(dataset):
    def cells(split):
        return {path.stem for path in (dataset / split).glob("*.jpg")}

    def names(pids, numbers):
        return {
            f"{pid:04d}_{outfit}_c{camera}_{number}"
            for pid, outfit, camera, number in itertools.product(
                pids, (1, 2), (1, 2), numbers
            )
        }

    assert cells("train") == names((1, 2), (1, 2))
    assert cells("query") == names((3, 4), (1,))
    assert cells("gallery") == names((3, 4), (2, 3))
    for split in ("train", "query", "gallery"):
        maps = {p.stem for p in (dataset / "parsing" / split).glob("*.png")}
        assert maps == cells(split)
    assert json.loads((dataset / DONE).read_text()) == OPTIONS.record()


def test_images_and_maps_have_the_configured_size(dataset):
    for path in (dataset / "query").glob("*.jpg"):
        assert cv2.imread(str(path)).shape == (128, 64, 3)
        picture = Image.open(dataset / "parsing" / "query" / f"{path.stem}.png")
        assert picture.mode == "P"
        assert picture.size == (64, 128)
        assert picture.getpalette()[:24] == [c for rgb in parsing.PALETTE for c in rgb]


def test_parsing_maps_show_an_upright_person(dataset):
    seen = set()
    in_order = maps = 0
    for path in sorted((dataset / "parsing").rglob("*.png")):
        label = np.array(Image.open(path))
        seen |= set(np.unique(label).tolist())
        share = (label != parsing.BACKGROUND).mean()
        assert 0.08 < share < 0.6, path
        rows = {k: np.nonzero(label == k)[0] for k in range(parsing.NUM_LABELS)}
        order = (parsing.HEAD, parsing.UPPER_CLOTHES, parsing.SHOES)
        if all(len(rows[k]) for k in order):  # An occluder may hide the shoes.
            heights = [rows[k].mean() for k in order]
            in_order += heights == sorted(heights)
            maps += 1
    assert seen <= set(range(parsing.NUM_LABELS))
    assert seen >= {*parsing.CLOTHING, *parsing.CLOTHING_UNRELATED}
    assert maps > 30
    assert in_order == maps


def test_options_are_read_back(dataset, tmp_path):
    assert read_options(dataset) == OPTIONS
    with pytest.raises(FileNotFoundError, match="no complete synthetic dataset"):
        read_options(tmp_path)
    old = {**OPTIONS.record(), "version": 0}
    (tmp_path / DONE).write_text(json.dumps(old))
    with pytest.raises(ValueError, match="version 0 of the generator"):
        read_options(tmp_path)


def test_the_contact_sheet_shows_images_above_their_parsing_maps(dataset):
    sheet = contact_sheet(dataset, people=2)
    # Two people; two outfits at two cameras side by side.
    assert sheet.shape == (2 * 2 * 128, 2 * 2 * 64, 3)
    for row, (split, pid) in enumerate((("train", 1), ("query", 4))):
        name = f"{split}/{pid:04d}_2_c1_1"
        image, parsing_map = sheet[256 * row : 256 * (row + 1), 128:192].reshape(
            2, 128, 64, 3
        )
        expected = np.asarray(Image.open(dataset / f"{name}.jpg"))
        np.testing.assert_array_equal(image, expected)
        label = np.asarray(Image.open(dataset / "parsing" / f"{name}.png"))
        palette = np.array(parsing.PALETTE)
        np.testing.assert_array_equal(parsing_map, palette[label])


def test_an_unfinished_dataset_is_completed_and_its_images_are_kept(dataset, tmp_path):
    root = tmp_path / "stopped"
    generate(root, OPTIONS, workers=1, progress=False)
    # As after a kill: started, not finished, some images and a map missing.
    (root / DONE).rename(root / "dataset.partial.json")
    gone = sorted((root / "train").glob("*.jpg"))[:3]
    for path in gone:
        path.unlink()
    next((root / "parsing" / "gallery").glob("*.png")).unlink()
    (root / "query" / "0003_1_c1_1.jpg.7.part").write_bytes(b"half")
    (root / "dataset.json.7.part").write_bytes(b"half")
    theirs = root / "train" / "download.jpg.7.part"
    theirs.write_bytes(b"precious")
    kept = sorted((root / "query").glob("*.jpg"))[0]
    kept.write_bytes(b"unchanged")
    generate(root, OPTIONS, workers=1, progress=False)
    made, expected = contents(root), contents(dataset)
    assert made.pop("train/download.jpg.7.part") == b"precious"
    assert made.pop(f"query/{kept.name}") == b"unchanged"
    expected.pop(f"query/{kept.name}")
    assert made == expected


@pytest.fixture
def copy(dataset, tmp_path):
    """A copy of the dataset, to be damaged."""
    return shutil.copytree(dataset, tmp_path / "copy")


def test_a_complete_dataset_is_kept_and_other_options_are_refused(copy):
    image = next((copy / "train").glob("*.jpg"))
    image.write_bytes(b"unchanged")
    before = contents(copy)
    generate(copy, OPTIONS, workers=1, progress=False)
    other = SyntheticOptions(**{**vars(OPTIONS), "seed": 6, "cameras": 3})
    with pytest.raises(
        FileExistsError, match=r"\(cameras: 2 -> 3, seed: 5 -> 6\); give another folder"
    ):
        generate(copy, other, workers=1, progress=False)
    (copy / DONE).rename(copy / "dataset.partial.json")
    with pytest.raises(FileExistsError, match="other options"):
        generate(copy, other, workers=1, progress=False)
    (copy / "dataset.partial.json").rename(copy / DONE)
    assert contents(copy) == before


def test_what_is_missing_of_a_complete_dataset_is_rendered_again(dataset, copy):
    next((copy / "train").glob("*.jpg")).unlink()
    next((copy / "parsing" / "query").glob("*.png")).unlink()
    next((copy / "gallery").glob("*.jpg")).write_bytes(b"")
    generate(copy, OPTIONS, workers=1, progress=False)
    assert contents(copy) == contents(dataset)


def test_images_that_the_dataset_does_not_have_are_named(copy):
    for name in ("9999_1_c1_1.jpg", "holiday.PNG"):
        (copy / "train" / name).write_bytes(b"x")
    (copy / "train" / "Thumbs.db").write_bytes(b"x")  # no image
    with pytest.raises(
        FileExistsError, match=r"2 images .*: train/9999_1_c1_1.jpg, train/holiday.PNG;"
    ):
        generate(copy, OPTIONS, progress=False)


def test_a_folder_in_an_images_place_is_named(copy):
    image = next((copy / "train").glob("*.jpg"))
    image.unlink()
    (image / "mine").mkdir(parents=True)
    with pytest.raises(OSError, match=rf"{image.name}.*, and start again"):
        generate(copy, OPTIONS, workers=1, progress=False)
    assert (image / "mine").is_dir()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"", "damaged"),
        (b"{}", "version is missing"),
        (b'{"name": "my holidays"}', "version is missing"),
        (b'{"version": "1"}', "version='1' must be a whole number"),
        (b'{"version": 1}', "options.train_identities is missing"),
        (b'{"version": 1, "options": 3}', "options=3 must be a section"),
        (b'{"version": 0, "options": {}}', "made by version 0 of the generator"),
        (b"\xff\xfe{", "damaged"),
        (b'{"version": 1, "options": {"a": 1}}', "options.a is unknown"),
    ],
)
@pytest.mark.parametrize("name", [DONE, "dataset.partial.json"])
def test_somebodys_images_beside_a_json_file_survive(tmp_path, name, record, message):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "me.jpg").write_bytes(b"precious")
    (tmp_path / name).write_bytes(record)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        generate(tmp_path, OPTIONS, progress=False)
    assert str(tmp_path / name) in str(error.value)
    assert "give another folder" in str(error.value)
    assert contents(tmp_path) == before


def test_other_folders_are_never_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(FileExistsError, match=r"holds thesis\.txt, and is not a"):
        generate(tmp_path, OPTIONS, progress=False)
    assert contents(tmp_path) == {"thesis.txt": b"precious"}
    lock = tmp_path / "mine" / "lock"
    lock.parent.mkdir()
    lock.write_text("a poem about locks")
    with pytest.raises(FileExistsError, match="lock is not a lock of this program"):
        generate(lock.parent, OPTIONS, progress=False)
    assert contents(lock.parent) == {"lock": b"a poem about locks"}


def test_an_image_depends_only_on_its_own_numbers():
    more = SyntheticOptions(
        **{**vars(OPTIONS), "train_identities": 9, "train_images": 7, "cameras": 4}
    )
    for one, other in zip(
        render(OPTIONS, 2, 1, 2, 1), render(more, 2, 1, 2, 1), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert (render(OPTIONS, 2, 1, 2, 1)[0] != render(OPTIONS, 2, 1, 2, 2)[0]).any()


def test_the_image_size_does_not_change_the_scene():
    large = SyntheticOptions(**{**vars(OPTIONS), "height": 256, "width": 128})
    small_label, large_label = (render(o, 1, 1, 1, 1)[1] for o in (OPTIONS, large))
    assert large_label.shape == (256, 128)
    assert (large_label[::2, ::2] == small_label).mean() > 0.96


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("outfits", 13),
        ("test_images", 1),
        ("cameras", 0),
        ("height", 63),
        ("seed", -1),
        ("train_identities", 10_000),
        ("width", 64.0),
    ],
)
def test_options_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        SyntheticOptions(**{name: value})


@pytest.mark.parametrize(
    ("root", "options", "workers", "message"),
    [
        ("x", OPTIONS, 0, "workers=0 must be None or at least 1"),
        ("x", OPTIONS, 1.5, "workers=1.5"),
        ("x", {"seed": 1}, 1, "options={'seed': 1} must be SyntheticOptions"),
        (3, OPTIONS, 1, "root=3 must be the path of a folder"),
        ("a\0b", OPTIONS, 1, "must be the path of a folder"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, root, options, workers, message):
    root = tmp_path / root if root == "x" else root
    with pytest.raises(ValueError, match=message):
        generate(root, options, workers=workers)
    assert not [*tmp_path.iterdir()]


def test_the_plan_of_the_default_dataset():
    shots = [shot for cell in plan(SyntheticOptions()) for shot in cell]
    count = {
        split: sum(shot.split == split for shot in shots)
        for split in ("train", "query", "gallery")
    }
    assert count == {"train": 64 * 3 * 4 * 3, "query": 384, "gallery": 384}
    assert len({shot.stem for shot in shots}) == len(shots)
