import io
import os
import shutil

import numpy as np
import pytest
import tiny
from PIL import Image

from mbnet_jax.data.load import images_folder
from mbnet_jax.files import write_whole
from mbnet_jax.parsing import labels as parsing
from mbnet_jax.parsing.label_sets import LABEL_SETS
from mbnet_jax.parsing.maps import encode_parsing
from mbnet_jax.report.preview import draw_sheet, preview

# Set -> a label for each canonical part, as a parser would return it; not the set's
# first label of that part if it has several.
BACK = {
    "canonical": range(8),
    "lip": (0, 13, 5, 9, 14, 16, 18, 0),
    "atr": (0, 11, 4, 6, 14, 12, 9, 16),
    "pascal": (0, 1, 2, 5, 4, 6, 6, 0),
}


def translated_back(data: bytes, labels: str) -> bytes:
    """A canonical map's PNG file as SCHP would write it in another label set."""
    canonical = np.asarray(Image.open(io.BytesIO(data)))
    pixels = np.array(BACK[labels], np.uint8)[canonical]
    return encode_parsing(pixels)


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    """The synthetic dataset with its maps in each label set: set -> config."""
    root = tmp_path_factory.mktemp("data")
    config = tiny.tiny_config(root / "canonical")
    config.data.synthetic.train_identities = 2
    config.data.synthetic.test_identities = 1
    images_folder(config.data)
    found = {}
    for labels in LABEL_SETS:
        found[labels] = config.copy_and_resolve_references()
        found[labels].data.root = str(root / labels)
        found[labels].data.parsing_labels = labels
        if labels != "canonical":
            shutil.copytree(root / "canonical", root / labels)
            for path in (root / labels).glob("**/parsing/**/*.png"):
                write_whole(path, translated_back(path.read_bytes(), labels))
    return found


def drawn(config, out) -> np.ndarray:
    preview(config, out, 3)
    return np.asarray(Image.open(out).convert("RGB"))


def test_right_label_sets_show_the_same_people(configs, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    sheets = {labels: drawn(config, out) for labels, config in configs.items()}
    assert f"wrote {out}" in capsys.readouterr().out
    # Below title and legend, the pictures are the same to the last pixel.
    np.testing.assert_array_equal(sheets["atr"][190:], sheets["canonical"][190:])
    # LIP has no bags: little is lost.
    differing = (sheets["lip"] != sheets["canonical"])[190:].any(-1).mean()
    assert 0 < differing < 0.01
    height, width = sheets["lip"].shape[:2]
    assert width > 4 * 128 * 2 and height > 2 * 256
    for part in (parsing.HEAD, parsing.LOWER_CLOTHES, parsing.SHOES):
        assert (sheets["lip"] == parsing.PALETTE[part]).all(-1).any()  # the legend


def test_a_wrong_label_set_is_refused_or_looks_wrong(configs, tmp_path):
    wrong = configs["lip"].copy_and_resolve_references()
    out = tmp_path / "sheet.png"
    wrong.data.parsing_labels = "atr"
    with pytest.raises(ValueError, match=r"train/0001_.* label 18, .* fit 'lip'"):
        preview(wrong, out, 3)
    assert not out.exists()
    right = drawn(configs["atr"], out)
    wrong = configs["atr"].copy_and_resolve_references()
    wrong.data.parsing_labels = "lip"  # fits, so only a person can tell
    assert (drawn(wrong, out) != right).any(-1).mean() > 0.02


@pytest.mark.parametrize("count", [0, -1, 101, 10**30, 2.0, None])
def test_the_number_of_images_has_limits(configs, tmp_path, count):
    with pytest.raises(
        ValueError, match=r"--images=.* must be a whole number from 1 to"
    ):
        preview(configs["lip"], tmp_path / "x.png", count)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none/x.png", r"none/x\.png: no such folder: .*none"),
        ("file/x.png", r"file/x\.png: no such folder: .*file"),
        ("x.jpg", r"x\.jpg must be the name of a file that ends in \.png"),
        ("x", "x must be the name of a file"),
        (".png", r"\.png must be the name of a file"),
        ("a\0b.png", "must be the name of a file"),
        ("folder.png", r"folder\.png is a folder; give the name"),
        ("photo.png", r"photo\.png exists, and is no earlier preview; delete it, or"),
        ("text.png", r"text\.png exists, and is no earlier preview"),
        ("pipe.png", r"pipe\.png exists, and is no earlier preview"),
        ("link.png", r"link\.png exists, and is no earlier preview"),
    ],
)
def test_nothing_is_overwritten_but_a_preview(configs, tmp_path, name, message):
    (tmp_path / "file").write_text("a user's")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "photo.png").write_bytes(encode_parsing(np.zeros((8, 4), np.uint8)))
    (tmp_path / "text.png").write_text("a user's")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("nowhere")
    before = sorted(tmp_path.iterdir())
    photo = (tmp_path / "photo.png").read_bytes()
    with pytest.raises((ValueError, FileNotFoundError), match=f"--out=.*{message}"):
        preview(configs["lip"], tmp_path / name, 1)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "photo.png").read_bytes() == photo


def damaged(kind: str, config, tmp_path) -> str:
    """A folder of the dataset's maps, of which the first is damaged."""
    folder = images_folder(config.data)
    out = tmp_path / "maps"
    shutil.copytree(folder / "parsing", out)
    path = min((out / "train").iterdir())
    good = np.asarray(Image.open(path))
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "half":
        path.write_bytes(encode_parsing(np.ascontiguousarray(good[::2])))
    elif kind != "missing":
        path.write_bytes(b"" if kind == "empty" else encode_parsing(good)[:-80])
    return str(out)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("cut", r"the parsing map of train/0001_.*\.jpg cannot be decoded"),
        (
            "empty",
            r"the parsing map of train/0001_.*\.jpg cannot be decoded .it is empty",
        ),
        ("half", r"train/0001_.* is 32x32 pixels .*, its image 32x64; give a map"),
        ("pipe", r"maps are not regular files: .*0001_.*a named pipe"),
        ("missing", r"1 of \d+ parsing maps are missing: .*0001_"),
    ],
)
def test_damaged_maps_are_named(configs, tmp_path, kind, message):
    config = configs["canonical"].copy_and_resolve_references()
    config.data.parsing_dir = damaged(kind, config, tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        preview(config, tmp_path / "x.png", 3)
    assert not (tmp_path / "x.png").exists()


def test_a_wide_view_stays_on_the_sheet():
    wide = np.zeros((8, 2048, 3), np.uint8)
    picture = Image.open(
        io.BytesIO(draw_sheet([("x", [wide] * 4)], np.zeros(8), "a title"))
    )
    assert picture.width < 2 * 5 * 1100
