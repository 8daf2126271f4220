"""Weights of unknown origin: nothing is read that the network does not have."""

import io
import json
import os
import struct
import zipfile

import numpy as np
import pytest

from mbnet_jax.backbones.weights.files import read_weights
from mbnet_jax.runs.safetensors_file import read_arrays
from mbnet_jax.sources import is_hub_id

A = np.arange(6, dtype=np.float32).reshape(2, 3)
WANTED = {"a": ("float32", (2, 3))}
HEADER = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}


DATA = A.tobytes()


def file_of(header=HEADER, data=DATA):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def header_with(**changes):
    return file_of({"a": HEADER["a"] | changes})


def test_the_arrays_are_read(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(file_of())
    found = read_arrays(path, WANTED)
    assert found.keys() == {"a"}
    np.testing.assert_array_equal(found["a"], A)


BAD = {
    "empty": b"",
    "7 bytes": b"1234567",
    "cut": file_of()[:-4],
    "longer": file_of() + b"x",
    "no header": struct.pack("<Q", 1 << 62),
    "lfs": b"version https://git-lfs.github.com/spec/v1\n",
    "deep": file_of(b'{"a":' + b"[" * 20_000),
    "huge header": file_of(HEADER | {f"x{i}": HEADER["a"] for i in range(5000)}),
    "huge shape": header_with(shape=[10**15]),
    "beyond the file": header_with(data_offsets=[0, 10**15]),
    "type": header_with(dtype="X"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named(tmp_path, name):
    path = tmp_path / "w.safetensors"
    path.write_bytes(BAD[name])
    with pytest.raises(ValueError, match=rf"{path} is not a safetensors file \(\S"):
        read_arrays(path, WANTED)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header_with(shape=[3, 2]), r"another shape or type: a float32\[3, 2\], not"),
        (
            header_with(dtype="I32"),
            r"another shape or type: a I32\[2, 3\], not float32",
        ),
        (file_of({"b\n": HEADER["a"]}), r"1 missing: a\n  1 not in .*: 'b\\n'$"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, content, message):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_arrays(path, WANTED)


@pytest.mark.parametrize("ending", [".safetensors", ".npz", ".pth"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "is not a regular file"),
        (lambda path: path.mkdir(), "is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
        (
            lambda path: (path.touch(), os.truncate(path, 1 << 40)),
            "has 1,099,511,627,776 bytes of weights; at most",
        ),
    ],
)
def test_what_would_not_end_is_not_opened(tmp_path, make, message, ending):
    path = tmp_path / f"w{ending}"
    make(path)
    with pytest.raises(ValueError, match=f"{path} {message}"):
        read_weights(str(path))
    if ending == ".safetensors":
        with pytest.raises(ValueError, match=f"{path} {message}"):
            read_arrays(path, WANTED)


def member(shape, data=b"", descr="<f4"):
    file = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


@pytest.mark.parametrize(
    "content",
    [
        member((10**12,)),
        member((-5,)),
        member((1,), b"12345678", "|O"),
        member((1,), b"1234", "<U1"),
        b"\x93NUMPY\x03\x00" + bytes(100),
        b"hello",
        b"",
    ],
)
def test_an_npz_that_claims_more_than_it_has_is_refused(tmp_path, content):
    path = tmp_path / "w.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(ValueError, match=rf"{path} is not an npz file of plain arrays"):
        read_weights(str(path))


def test_an_npz_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("mbnet_jax.backbones.weights.files.MAX_BYTES", 1 << 20)
    path = tmp_path / "w.npz"
    np.savez_compressed(path, a=np.zeros(1 << 19))
    assert path.stat().st_size < 1 << 15
    with pytest.raises(ValueError, match=r"4,194,432 bytes of weights; at most"):
        read_weights(str(path))


@pytest.mark.parametrize(
    "name",
    ["../x", "x/..", "a/b/c", "a--b/c", "a/b..c", "ä/b", "-a/b", "a/b\n", "a/" * 99],
)
def test_what_is_no_hub_id_is_not_asked_for(name):
    assert not is_hub_id(name)
    assert is_hub_id("timm/resnet50.tv_in1k")
