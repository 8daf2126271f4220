"""Maps made with a small ONNX model whose classes are known colours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from parsers import (
    STD,
    coloured_blocks,
    images,
    maps,
    pattern,
    write_model,
)

from mbnet_jax.data.load import images_folder
from mbnet_jax.data.make_maps import make_maps
from mbnet_jax.data.needed_maps import check_maps
from mbnet_jax.locks import locked
from mbnet_jax.parsing.maker import check_maker
from mbnet_jax.parsing.maps import encode_parsing
from mbnet_jax.parsing.options import ParserOptions
from mbnet_jax.parsing.voc import VOC_COLOURS

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return coloured_blocks(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ({}, {"batch": 5}),  # 24 images: the last batch is not full
        ({"layout": "nhwc"}, {"layout": "nhwc"}),
        ({"batch": 7, "size": (128, 64)}, {"batch": 8}),
    ],
)
def test_maps_are_the_models_classes_at_the_images_size(
    config, tmp_path, model, options
):
    path = write_model(tmp_path / "m.onnx", **model)
    parser = ParserOptions(path, "atr", (128, 64), **options)
    out = tmp_path / "maps"
    assert make_maps(config, parser, out) == len(images(config))
    for number, picture in enumerate(maps(config, out)):
        assert picture.mode == "P" and picture.size == (32, 64)
        assert picture.getpalette()[: 18 * 3] == VOC_COLOURS[:18].ravel().tolist()
        found, expected = np.asarray(picture), pattern(number)
        # Logits are a quarter of the input: blocks mix at their edges.
        inner = np.s_[3:13]
        np.testing.assert_array_equal(
            found.reshape(4, 16, 2, 16)[:, inner, :, inner],
            expected.reshape(4, 16, 2, 16)[:, inner, :, inner],
        )


def test_making_resumes_and_keeps_existing_maps(config, tmp_path):
    parser = ParserOptions(write_model(tmp_path / "m.onnx"), "atr", (128, 64))
    out = tmp_path / "maps"
    make_maps(config, parser, out)
    written = sorted(out.rglob("*.png"))
    written[2].unlink()
    kept = encode_parsing(np.full((64, 32), 17, np.uint8))
    written[5].write_bytes(kept)
    (out / "notes.txt").write_text("a user's")
    assert make_maps(config, parser, out) == 1
    assert written[2].is_file() and written[5].read_bytes() == kept
    assert (out / "notes.txt").read_text() == "a user's"
    assert not list(out.rglob("*.part"))
    with locked(out), pytest.raises(BlockingIOError, match="maps is in use by process"):
        make_maps(config, parser, out)


def test_damaged_maps_are_named_and_left_as_they_are(config, tmp_path):
    parser = ParserOptions(write_model(tmp_path / "m.onnx"), "atr", (128, 64))
    out = tmp_path / "maps"
    make_maps(config, parser, out)
    written = sorted(out.rglob("*.png"))
    damage = {0: b"", 3: written[3].read_bytes()[:-60], 4: b"text"}
    damage[7] = encode_parsing(np.full((64, 32), 18, np.uint8))
    for number, data in damage.items():
        written[number].write_bytes(data)
    written[9].unlink()
    written[9].mkdir()
    with pytest.raises(
        ValueError, match="5 of 24 existing maps cannot be used"
    ) as found:
        make_maps(config, parser, out)
    assert all(str(written[number]) in str(found.value) for number in (*damage, 9))
    assert "Delete them; the same command then makes them again" in str(found.value)
    assert all(written[number].read_bytes() == data for number, data in damage.items())


def test_maps_of_other_options_are_not_mixed(config, tmp_path):
    path, out = write_model(tmp_path / "m.onnx"), tmp_path / "maps"
    make_maps(config, ParserOptions(path, "atr", (64, 32)), out)
    other = ParserOptions(path, "atr", (128, 64), std=(1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="with another size, std: give another"):
        make_maps(config, other, out)
    (out / "maps.json").rename(tmp_path / "maps.json")
    with pytest.raises(ValueError, match="were made by another program: give another"):
        make_maps(config, other, out)
    (tmp_path / "maps.json").rename(out / "maps.json")
    config = config.copy_and_resolve_references()
    config.data.parsing_dir = str(out)
    config.data.parsing_labels = "lip"
    with pytest.raises(ValueError, match="were made with --labels=atr: give --config"):
        check_maps(config, {}, training=True)
    config.data.parsing_labels = "atr"
    check_maps(config, {}, training=True)


def test_maps_of_an_earlier_version_are_of_the_same_maker(config, tmp_path):
    path, out = write_model(tmp_path / "m.onnx"), tmp_path / "maps"
    parser = ParserOptions(path, "atr", (64, 32))
    make_maps(config, parser, out)
    maker = json.loads((out / "maps.json").read_text())
    earlier = {"deviation" if k == "std" else k: v for k, v in maker.items()}
    assert earlier["deviation"] == STD.tolist()
    assert earlier.pop("version") == 2 and earlier.pop("channels") == "rgb"
    assert earlier.pop("fit") == "stretch" and earlier.pop("output") == 0
    (out / "maps.json").write_text(json.dumps(earlier | {"version": 1}))
    check_maker(out, "atr")
    padded = ParserOptions(path, "atr", (64, 32), fit="pad")
    with pytest.raises(ValueError, match="made with another fit: give another"):
        make_maps(config, padded, out)
    (out / "maps.json").write_text(json.dumps(earlier))
    other = ParserOptions(path, "atr", (64, 32), std=(1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="made with another std: give another"):
        make_maps(config, other, out)
    next(out.rglob("*.png")).unlink()
    assert make_maps(config, parser, out) == 1
    assert json.loads((out / "maps.json").read_text()) == maker


def test_errors_name_what_does_not_fit(config, tmp_path):
    model = write_model(tmp_path / "m.onnx")
    fixed = write_model(tmp_path / "fixed.onnx", size=(64, 64))

    def make(path=model, labels="atr", size=(64, 32), out=tmp_path / "maps", **more):
        make_maps(config, ParserOptions(path, labels, size, **more), out)

    with pytest.raises(ValueError, match=r"returns \(8, 16, 8, 18\).* the 20 classes"):
        make(labels="lip")
    assert not (tmp_path / "maps").exists()
    with pytest.raises(ValueError, match=r"fixed\.onnx takes .*: give its --size and"):
        make(fixed)
    with pytest.raises(ValueError, match=r"m\.onnx takes .*: give its --size"):
        make(layout="nhwc")


def test_images_that_cannot_be_decoded_are_named_at_the_end(
    config, tmp_path, monkeypatch
):
    folder = images_folder(config.data)
    # Would make them again.
    monkeypatch.setattr("mbnet_jax.data.make_maps.images_folder", lambda data: folder)
    parser = ParserOptions(write_model(tmp_path / "m.onnx"), "atr", (64, 32), batch=5)
    broken = images(config)[:6]
    good = [path.read_bytes() for path in broken]
    for path in broken:
        path.write_bytes(b"")
    try:
        with pytest.raises(
            ValueError, match="made 18 maps, but 6 images cannot"
        ) as found:
            make_maps(config, parser, tmp_path / "maps")
    finally:
        for path, data in zip(broken, good, strict=True):
            path.write_bytes(data)
    assert all(f"{path} cannot be decoded" in str(found.value) for path in broken)
    assert make_maps(config, parser, tmp_path / "maps") == 6


def test_the_command(config, tmp_path):
    model = write_model(tmp_path / "m.onnx")
    command = [sys.executable, "-m", "mbnet_jax.commands.parse"]
    command += ["--config", "configs/synthetic.py", "--model", str(model)]
    command += [f"--config.data.root={config.data.root}", "--size", "64,32"]
    command += [
        f"--config.data.synthetic.{key}={value}"
        for key, value in config.data.synthetic.items()
        if key not in ("height", "width")
    ]
    command += ["--config.data.height=64", "--config.data.width=32"]
    out = tmp_path / "maps"

    def run(*more: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*command, *more],
            cwd=ROOT,
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )

    done = run("--labels", "atr", f"--config.data.parsing_dir={out}")
    assert done.returncode == 0, done.stderr
    assert "made 24 maps" in done.stdout and f"wrote {out}/maps_preview.png" in (
        done.stdout
    )
    assert "--config.data.parsing_labels=atr" in done.stdout
    assert len(maps(config, out)) == 24
    refused = run(f"--out={out}")
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert "error: --model=" in refused.stderr
    assert "is a file: give its form too, --preset NAME, one of seg" in refused.stderr
