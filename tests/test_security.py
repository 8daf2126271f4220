"""SECURITY.md: its limits are those of the code, and its tests exist."""

import os
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from mbnet_jax import files, images, json_files
from mbnet_jax.backbones.weights import files as weight_files
from mbnet_jax.data.datasets import csv_text, read_records
from mbnet_jax.images import read_image
from mbnet_jax.json_files import read_json
from mbnet_jax.report import training
from mbnet_jax.runs import config_file, safetensors_file
from mbnet_jax.search import rows

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "SECURITY.md").read_text()
# What the row of a file starts with -> its limits, as the page prints them.
LIMITS = {
    "`config.json`": (
        f"{json_files.MAX_BYTES >> 20} MiB",
        f"{config_file.MAX_CLASSES:,} classes",
    ),
    "an export's": (
        f"{weight_files.MAX_BYTES >> 30} GiB",
        f"{safetensors_file._HEADER >> 10} KiB",
        f"{safetensors_file._HEADER_OF_ONE >> 10} KiB for each",
    ),
    "pretrained weights": (f"{weight_files.MAX_BYTES >> 30} GiB",),
    "an image": (
        f"{files.MAX_BYTES >> 20} MiB",
        f"{images.MAX_PIXELS:,} pixels",
        f"{images.MAX_SIDE:,} a side",
    ),
    "`manifest.csv`": (f"{csv_text.MAX_BYTES >> 20} MiB",),
    "the search's cache": (f"{rows._MOST:,} rows",),
    "`metrics.jsonl`": (
        f"{training._MOST_BYTES >> 20} MiB",
        f"{training._MOST_NAMES} scalars",
    ),
}


@pytest.mark.parametrize("start", LIMITS)
def test_the_limits_on_the_page_are_those_of_the_code(start):
    (row,) = (r for r in PAGE.splitlines() if r.startswith(f"| {start}"))
    for limit in LIMITS[start]:
        assert re.search(rf"\b{re.escape(limit)}", row), limit


def test_every_test_that_the_page_names_exists():
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    text = "".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    assert len(named) > 20
    assert named <= set(re.findall(r"^def (test_\w+)", text, re.MULTILINE))


def png(width: int, height: int) -> bytes:
    """A PNG file of a few bytes that claims to have this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("size", [(65_500, 65_500), (8192, 8193), (1, 32_769)])
def test_an_image_that_claims_too_many_pixels_is_refused(size, tmp_path):
    file = tmp_path / "bomb.png"
    file.write_bytes(png(*size))
    with pytest.raises(ValueError, match=r"bomb\.png has .* pixels; 1 to 67,108,864"):
        read_image(file)


def test_an_npz_of_objects_is_not_unpickled(tmp_path):
    ran = tmp_path / "ran"

    class Attack:
        def __reduce__(self):
            return open, (str(ran), "w")

    np.savez(tmp_path / "weights.npz", a=np.array([Attack()], object))
    with pytest.raises(ValueError, match=r"weights\.npz is not an npz file of plain"):
        weight_files.read_weights(str(tmp_path / "weights.npz"))
    assert not ran.exists()


@pytest.mark.parametrize("path", ["../a.jpg", "x/../../a.jpg"])
def test_a_manifest_names_no_file_above_its_folder(path, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    lines = "path,pid,split", f"{path},1,train", "b.jpg,2,query", "c.jpg,2,gallery"
    (folder / "manifest.csv").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"line 2: path '.*' must not hold '\.\.'"):
        read_records("manifest", folder)


@pytest.mark.parametrize("read", [read_image, lambda path: read_json(path, {}, "x")])
def test_a_pipe_is_refused_at_once(read, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is not a regular file"):
        read(tmp_path / "pipe")
