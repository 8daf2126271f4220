"""Maps of a folder of photographs, without a config."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict
from parsers import COLOURS, painted, write_model
from PIL import Image

from mbnet_jax.commands.parse import _beside, _check_given, _of_folder
from mbnet_jax.parsing.load import parser_options
from mbnet_jax.parsing.maps import encode_parsing
from mbnet_jax.report.preview import preview_folder, sheet_path

pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parent.parent
NAMES = ("a.png", "day 1/b.png", "day 1/写真.png", "wide.PNG")


@pytest.fixture
def options(tmp_path):
    return parser_options(write_model(tmp_path / "m.onnx"), "segformer")


@pytest.fixture
def photos(tmp_path):
    """A folder of photographs, and the labels of each."""
    rng, labels = np.random.default_rng(0), {}
    for name in NAMES:
        size = (14, 37) if name == "wide.PNG" else (37, 14)
        labels[name] = rng.choice([*COLOURS], size).astype(np.uint8)
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(painted(labels[name])).save(path)
    return tmp_path / "photos", labels


def test_maps_mirror_the_folder_beside_it(photos, options, capsys):
    folder, labels = photos
    (folder / "gone.jpg").symlink_to("nowhere")
    (folder / "notes.txt").write_text("a user's")
    _of_folder(folder, options, None)
    out = folder.with_name("photos-maps")
    for name, expected in labels.items():
        found = np.asarray(Image.open((out / name).with_suffix(".png")))
        np.testing.assert_array_equal(found, expected)
    said = capsys.readouterr()
    assert f"made 4 maps in {out}" in said.out
    assert f"wrote {out}/maps_preview.png" in said.out
    assert f"--gallery {folder} --parsing {out} --parsing-labels atr" in said.out
    assert "warning: gone.jpg is left out: No such file" in said.err
    (out / "wide.png").unlink()
    _of_folder(folder, options, None)
    assert "made 1 maps" in capsys.readouterr().out
    assert len([*out.rglob("*.png")]) == 5  # with one preview


def test_the_preview_shows_photographs_and_parts(photos, options):
    folder, labels = photos
    _of_folder(folder, options, None)
    out = folder.with_name("photos-maps")
    sheet = Image.open(out / "maps_preview.png").convert("RGB")
    # Both sides of a pair of photographs, of which the widest is 2.6 times as wide as
    # high, at 256 pixels.
    assert sheet.width > 2 * 2 * 600 and sheet.height > 2 * 256
    pixels = np.asarray(sheet)
    assert (pixels == (255, 0, 0)).all(-1).any()  # a photograph's own, and its part's
    assert (
        (np.abs(pixels - (0.4 * 255 + 0.6 * 50, 0.6 * 80, 0.6 * 190)) < 1).all(-1).any()
    )
    images = [folder / name for name in labels]
    again = preview_folder(images, folder, out, "atr", 2)
    assert again == out / "maps_preview.png"
    assert Image.open(again).height < sheet.height


def test_no_file_of_others_is_taken_for_the_preview(tmp_path):
    (tmp_path / "maps_preview.png").write_bytes(
        encode_parsing(np.zeros((8, 4), np.uint8))
    )
    (tmp_path / "maps_preview-1.png").mkdir()
    assert sheet_path(tmp_path) == tmp_path / "maps_preview-2.png"


def test_folders_that_cannot_be_are_named(photos, options, tmp_path):
    folder, _ = photos
    with pytest.raises(ValueError, match="photos is the folder of the photographs"):
        _of_folder(folder, options, folder)
    with pytest.raises(ValueError, match=r"day 1/\.\. is the folder of the photogra"):
        _of_folder(folder, options, folder / "day 1" / "..")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty and its sub-folders hold no photogr"):
        _of_folder(tmp_path / "empty", options, None)
    # Maps that are inside are no photographs.
    _of_folder(folder, options, folder / "maps")
    _of_folder(folder, options, folder / "maps")
    assert len([*(folder / "maps").rglob("*.png")]) == 5
    assert _beside(Path("a/b")) == Path("a/b-maps")
    assert _beside(Path()).name == f"{Path.cwd().name}-maps"
    with pytest.raises(ValueError, match="nothing is beside /: give --out"):
        _beside(Path("/"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("", None, None), r"give --model: a preset \(segformer, .*or an ONNX file"),
        (("segformer", None, None), "give the images: --config NAME for those of a"),
        (("segformer", ".", ConfigDict()), "--config and --images both name images"),
        (("segformer", "none", None), "no such folder: --images=none"),
    ],
)
def test_what_must_be_given_is_said_before_a_download(given, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        _check_given(*given)


def test_the_command_needs_no_config(photos, tmp_path):
    folder, _ = photos
    model = write_model(tmp_path / "m.onnx", channels="bgr")
    command = [sys.executable, "-m", "mbnet_jax.commands.parse", "--model", str(model)]
    command += ["--images", str(folder), "--labels", "atr", "--channels", "bgr"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "made 4 maps" in done.stdout and "Traceback" not in done.stderr
    made = json.loads((tmp_path / "photos-maps" / "maps.json").read_text())
    assert made["channels"] == "bgr" and made["labels"] == "atr"
