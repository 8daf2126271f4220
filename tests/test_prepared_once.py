"""Preparing checks and copies in one pass, and decodes no image twice."""

import threading

import layouts
import pytest
import tiny
from tensorflow_datasets.core import shuffle

from mbnet_jax.data import Record, checks, read_records
from mbnet_jax.data.builder import prepare
from mbnet_jax.data.checked import FILE
from mbnet_jax.data.records import names_in


@pytest.fixture
def decoded(monkeypatch):
    """The names of the images that are decoded."""
    names, decode = [], checks.check_image

    def counted(data, name):
        names.append(name)
        return decode(data, name)

    monkeypatch.setattr(checks, "check_image", counted)
    return names


def test_an_image_is_decoded_once_whatever_else_changes(tmp_path, decoded):
    root = tiny.write_folder(tmp_path / "data")
    prepared = tmp_path / "prepared"
    records = read_records("synthetic", root)
    prepare(records, root, prepared)
    rows = [row for part in records.values() for row in part]
    assert sorted(decoded) == sorted(str(row.path) for row in rows)
    decoded.clear()
    other = records["query"][2].path
    other.write_bytes(records["query"][0].path.read_bytes())
    records["train"] = [row._replace(camera=0) for row in records["train"]]
    sources = prepare(records, root, prepared)
    assert decoded == [str(other)]
    assert sources["query"][2]["image"] == other.read_bytes()
    assert len([*prepared.glob("*/reid")]) == 2


def test_maps_are_checked_again_in_another_label_set(tmp_path, decoded):
    root = tiny.write_folder(tmp_path / "data")
    records = read_records("synthetic", root)
    prepare(records, root, tmp_path, "canonical")
    number = len(decoded)
    records["query"] = records["query"][1:]
    prepare(records, root, tmp_path, "pascal")
    assert len(decoded) == 2 * number - 1


def test_what_was_sound_beside_bad_files_is_remembered_and_nothing_is_left(
    tmp_path, decoded
):
    root = layouts.write_ltcc(tmp_path / "data")
    records = read_records("ltcc", root)
    bad = [records[split][1].path for split in ("train", "gallery")]
    whole = bad[0].read_bytes()
    for path in bad:
        path.write_bytes(whole[:60])
    with pytest.raises(ValueError, match="2 of 28 files cannot be used") as caught:
        prepare(records, root, tmp_path / "prepared")
    assert all(str(path) in str(caught.value) for path in bad)
    assert not [*(tmp_path / "prepared").rglob("*array_record*")]
    decoded.clear()
    for path in bad:
        path.write_bytes(whole)
    assert len(prepare(records, root, tmp_path / "prepared")["train"]) == 16
    assert decoded == [str(path) for path in bad]


def test_a_split_of_any_size_is_written_without_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setattr(shuffle, "MAX_MEM_BUFFER_SIZE", 1000)  # TFDS: 1 GB
    root = tiny.write_folder(tmp_path / "data")
    assert len(prepare(read_records("synthetic", root), root, tmp_path)["train"]) == 32


@pytest.mark.parametrize("damage", ["cut", "changed", "folder"])
def test_a_damaged_memory_is_ignored(damage, tmp_path, decoded):
    root = tiny.write_folder(tmp_path / "data")
    records = read_records("synthetic", root)
    prepare(records, root, tmp_path)
    number, file = len(decoded), tmp_path / FILE
    data = file.read_bytes()
    if damage == "cut":
        file.write_bytes(data[:-16])
    elif damage == "changed":
        file.write_bytes(data[:60] + b"\0" * 8 + data[68:])
    else:
        file.unlink()
        file.mkdir()
    records["query"] = records["query"][1:]
    prepare(records, root, tmp_path)
    assert len(decoded) == 2 * number - 1


def test_few_images_are_read_ahead(tmp_path, monkeypatch):
    layouts.write_image(tmp_path / "1.png", 1)
    rows = [Record(tmp_path / "1.png", 0, 0, 0, None)] * 2000
    begun, read, lock = [0], checks.read_bytes, threading.Lock()

    def counted(path):
        with lock:
            begun[0] += 1
        return read(path)

    monkeypatch.setattr(checks, "read_bytes", counted)
    most = (2 * checks.THREADS + 1) * checks._TOGETHER
    contents = checks.checked_contents(rows, None, [False] * len(rows))
    for taken, content in enumerate(contents, 1):
        assert not content.problems and begun[0] <= taken + most
    assert taken == begun[0] == len(rows)


def test_names_are_relative_to_the_root_wherever_a_file_is(tmp_path):
    for root, path, name in (
        ("a/b", "a/b/c/1.jpg", "c/1.jpg"),
        ("a/b", "a/b/../1.jpg", "../1.jpg"),
        ("a/b", "a/bc/1.jpg", "../bc/1.jpg"),
        (".", "1.jpg", "1.jpg"),
        ("/a", "/1.jpg", "../1.jpg"),
        ("/", "/a/1.jpg", "a/1.jpg"),
    ):
        paths = [type(tmp_path)(path)]
        assert names_in(type(tmp_path)(root), paths) == [name], (root, path)
