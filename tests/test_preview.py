import io
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
from mbnet_jax.report.preview import preview

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


def test_bad_arguments_are_named(configs, tmp_path):
    config = configs["lip"]
    with pytest.raises(ValueError, match="--images=0 must be"):
        preview(config, tmp_path / "x.png", 0)
    with pytest.raises(FileNotFoundError, match=r"none/x\.png: no such folder: .*none"):
        preview(config, tmp_path / "none" / "x.png", 1)
