"""The folder that `mbnet-parse` writes: nothing outside of it, nothing lost in it."""

import errno
import itertools
import json
from pathlib import Path

import pytest
from parsers import (
    coloured_blocks,
    images,
    write_model,
)

from mbnet_jax.data import Record
from mbnet_jax.data.load import images_folder
from mbnet_jax.data.make_maps import make_maps
from mbnet_jax.files import write_whole
from mbnet_jax.parsing.maker import describe_maker
from mbnet_jax.parsing.options import ParserOptions

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return coloured_blocks(tmp_path_factory.mktemp("data"))


@pytest.fixture
def lists(monkeypatch):
    """Sets the images, relative to the dataset's folder, that its reader lists."""

    def lists(*names: str) -> None:
        def read(name, folder, variant):
            return {"train": [Record(folder / n, 0, 0, 0, None) for n in names]}

        monkeypatch.setattr("mbnet_jax.data.make_maps.read_records", read)

    return lists


def test_nothing_is_written_outside_of_out(config, tmp_path, lists):
    parser = ParserOptions(write_model(tmp_path / "m.onnx"), "atr", (64, 32))
    out = tmp_path / "a" / "maps"
    first = images(config)[0].relative_to(images_folder(config.data))
    lists("train/x.jpg", f"../../{first}")
    with pytest.raises(ValueError, match=r"is outside of .* cannot mirror it"):
        make_maps(config, parser, out)
    lists(str(first), str(first.with_suffix(".webp")))
    with pytest.raises(ValueError, match=r"jpg and .*webp would share the parsing map"):
        make_maps(config, parser, out)
    assert not out.exists()
    lists(str(first))
    out.mkdir(parents=True)
    (out / "train").symlink_to(tmp_path)
    with pytest.raises(
        ValueError, match=r"train leads to .*, outside of --out=.*maps;"
    ):
        make_maps(config, parser, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "m.onnx"]


def test_out_is_a_folder_that_can_be_written_and_is_not_the_images(config, tmp_path):
    parser = ParserOptions(write_model(tmp_path / "m.onnx"), "atr", (64, 32))
    folder = images_folder(config.data)
    for out in (folder, folder / "train", folder / "query" / "maps"):
        with pytest.raises(
            ValueError, match=f"--out={out} is a folder of the dataset's"
        ):
            make_maps(config, parser, out)
    assert not (folder / "query" / "maps").exists()
    for out in (tmp_path / "m.onnx", tmp_path / "m.onnx" / "maps", Path("/proc/maps")):
        with pytest.raises(
            OSError, match=f"{out} cannot be written to .*; give another"
        ):
            make_maps(config, parser, out)
    with pytest.raises(ValueError, match="is not a folder name"):
        make_maps(config, parser, tmp_path / "a\0b")


def test_a_full_disk_is_named_and_leaves_whole_maps(config, tmp_path, monkeypatch):
    parser = ParserOptions(write_model(tmp_path / "m.onnx"), "atr", (64, 32))
    out, count = tmp_path / "maps", itertools.count()

    def full(path, data):
        if next(count) == 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_whole(path, data)

    monkeypatch.setattr("mbnet_jax.data.make_maps.write_whole", full)
    with pytest.raises(
        OSError, match=r"png cannot be written \(No space left.*resumes"
    ):
        make_maps(config, parser, out)
    assert len([*out.rglob("*.png")]) == 3
    assert make_maps(config, parser, out) == len(images(config)) - 3


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("std", [0, 1, 1], r"is damaged: std=\[0, 1, 1\] must be 3 entries"),
        ("std", None, "is damaged: std=None must be"),
        ("size", "64,32", "is damaged: size='64,32' must be"),
        ("model", 5, "is damaged: model=5 must be"),
        ("version", 99, "has version=99, not 2; a later version"),
        ("layout", ..., "is damaged: layout is missing; it must be one of"),
    ],
)
def test_a_damaged_description_is_not_replaced(config, tmp_path, entry, value, message):
    parser = ParserOptions(write_model(tmp_path / "m.onnx"), "atr", (64, 32))
    maker = describe_maker(parser)
    if value is ...:
        del maker[entry]
    else:
        maker[entry] = value
    (tmp_path / "maps.json").write_text(json.dumps(maker))
    with pytest.raises(ValueError, match=rf"maps\.json {message}"):
        make_maps(config, parser, tmp_path)
    assert json.loads((tmp_path / "maps.json").read_text()) == maker
