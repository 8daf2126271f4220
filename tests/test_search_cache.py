"""The search's cache: never another's row or digest, whatever happened to its files."""

import os
import random
import shutil
import sqlite3

import numpy as np
import pytest
from photos import make_folder

from mbnet_jax.search import digests
from mbnet_jax.search.cache import check_folders
from mbnet_jax.search.digests import Digests, digest_of
from mbnet_jax.search.photographs import list_photographs
from mbnet_jax.search.rows import Rows

WIDTH, COUNT, KEY, RECORD = 6, 8, 32, 48
KEYS = [bytes([number]) * KEY for number in range(COUNT)]
ROWS = np.arange(COUNT * WIDTH, dtype=np.float32).reshape(COUNT, WIDTH)


def swapped(data: bytes) -> bytes:
    """With the first and the last eighth exchanged: a row or a record."""
    part = len(data) // COUNT
    return data[-part:] + data[part:-part] + data[:part]


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    ("file", "change", "left"),
    [
        ("rows.f32", swapped, KEYS[1:-1]),
        ("rows.f32", flipped, KEYS[:-1]),
        ("rows.f32", lambda data: data[4 * WIDTH :], []),
        ("rows.f32", lambda data: data[:-1], KEYS[:-1]),
        ("rows.f32", lambda data: bytes(len(data)), []),
        ("rows.f32", lambda data: b"", []),
        ("keys", swapped, KEYS[1:-1]),
        ("keys", flipped, KEYS[:-1]),
        ("keys", lambda data: data[:KEY] + flipped(data)[KEY:], KEYS[:-1]),
        # A key twice: the row of the later record counts.
        (
            "keys",
            lambda data: data[:RECORD] + KEYS[3] + data[RECORD + KEY :],
            [KEYS[0], *KEYS[2:]],
        ),
        (
            "keys",
            lambda data: data[:-RECORD] + KEYS[3] + data[-RECORD + KEY :],
            [*KEYS[:3], *KEYS[4:7]],
        ),
        ("keys", lambda data: data[RECORD:], []),
        ("keys", lambda data: data[1:], []),
        ("keys", lambda data: data + data[:RECORD], KEYS),
    ],
)
def test_a_row_is_never_taken_for_anothers(tmp_path, file, change, left):
    Rows(tmp_path, WIDTH, KEY).add(KEYS, ROWS)
    path = tmp_path / file
    path.write_bytes(change(path.read_bytes()))
    rows = Rows(tmp_path, WIDTH, KEY)
    known = {*KEYS} & {*rows.index}
    assert rows.drop_damaged(KEYS, threads=2) == len(known) - len(left)
    assert [key for key in KEYS if key in rows.index] == left
    # What was dropped can be added again; then all are right.
    lost = [key for key in KEYS if key not in left]
    if lost:
        rows.add(lost, ROWS[[KEYS.index(key) for key in lost]])
    rows = Rows(tmp_path, WIDTH, KEY)
    assert not rows.drop_damaged(KEYS, threads=2)
    features, where = rows.features(np.array([rows.index[key] for key in KEYS]))
    np.testing.assert_array_equal(features[where], ROWS)


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "photos")


def read(folder, monkeypatch) -> int:
    """Opens the table, checks every digest, and returns how many files were read."""
    count = 0

    def counted(path):
        nonlocal count
        count += 1
        return digest_of(path)

    files, _ = list_photographs(folder)
    with monkeypatch.context() as patch:
        patch.setattr(digests, "digest_of", counted)
        table = Digests(folder.parent / "digests.sqlite", threads=2)
        found, failures = table.of(folder, files)
        table.close()
    assert not failures
    assert found == {name: digest_of(folder / name) for name in files}
    return count


@pytest.mark.parametrize(
    ("changes", "again"),
    [
        (["UPDATE files SET digest = 'text'"], 7),
        (["UPDATE files SET digest = NULL, size = NULL"], 7),
        (["UPDATE files SET digest = zeroblob(100000)"], 7),
        (["UPDATE files SET digest = (SELECT digest FROM files LIMIT 1)"], 5),
        (["UPDATE files SET size = CAST(x'ff' AS TEXT)"], 7),
        (["UPDATE files SET proof = x'00'"], 7),
        (["DROP TABLE files"], 7),
        (["DROP TABLE files", "CREATE TABLE files (path BLOB, digest BLOB)"], 7),
        (["CREATE TABLE more (x)"], 7),
        (["CREATE TRIGGER t AFTER INSERT ON files BEGIN DELETE FROM files; END"], 7),
        (["PRAGMA user_version = 3"], 7),
        (["DROP TABLE files", "PRAGMA application_id = 0", digests._TABLE_1], 7),
    ],
)
@pytest.mark.filterwarnings("ignore:.*it is rebuilt")
def test_a_damaged_table_gives_no_wrong_digest(folder, monkeypatch, changes, again):
    assert read(folder, monkeypatch) == 7
    assert read(folder, monkeypatch) == 0
    with sqlite3.connect(folder.parent / "digests.sqlite") as database:
        for change in changes:
            database.execute(change)
    database.close()
    assert read(folder, monkeypatch) == again
    assert read(folder, monkeypatch) == 0


@pytest.mark.filterwarnings("ignore:.*it is rebuilt")
def test_a_damaged_database_is_rebuilt_or_named(folder, monkeypatch):
    file = folder.parent / "digests.sqlite"
    read(folder, monkeypatch)
    whole = file.read_bytes()
    rng = random.Random(0)
    for _ in range(12):
        data = bytearray(whole[: rng.choice([len(whole), rng.randrange(len(whole))])])
        for _ in range(20):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        file.write_bytes(data)
        try:
            read(folder, monkeypatch)
        except (ValueError, OSError) as error:
            assert str(file) in str(error) and "--cache" in str(error)
            assert file.read_bytes() == data


def test_what_is_not_ours_is_left_as_it_is(folder, monkeypatch):
    file = folder.parent / "digests.sqlite"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE files (mine)")
    database.close()
    for data in (file.read_bytes(), b"my notes", b"SQLite format 3\0" + bytes(100)):
        file.write_bytes(data)
        with pytest.raises(ValueError, match=r"digests.sqlite is another program's"):
            read(folder, monkeypatch)
        assert file.read_bytes() == data
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ValueError, match=r"digests.sqlite is not a regular file"):
        read(folder, monkeypatch)


def test_a_table_in_use_by_another_program_is_named(folder, monkeypatch):
    read(folder, monkeypatch)
    file = folder.parent / "digests.sqlite"
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path: connect(path, timeout=0))
    other = connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(OSError, match=r"digests.sqlite cannot be used \(.* locked\)"):
        read(folder, monkeypatch)
    other.close()
    assert read(folder, monkeypatch) == 0


def test_a_row_is_not_written_through_a_link(tmp_path):
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("rows.f32", "keys"):
        (cache / name).symlink_to(mine)
        with pytest.raises(OSError, match=name):
            Rows(cache, WIDTH, KEY).add(KEYS, ROWS)
        (cache / name).unlink()
    assert mine.read_bytes() == b"mine"


def test_folders_that_would_be_mistaken_are_refused(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (tmp_path / "link").symlink_to(photos)
    check_folders(photos, photos / "cache", photos / "maps")
    for cache in (photos, tmp_path, tmp_path / "link"):
        with pytest.raises(ValueError, match=r"is in the cache .*; give another"):
            check_folders(photos, cache, None)
    with pytest.raises(ValueError, match="is the gallery itself"):
        check_folders(photos, tmp_path / "c", tmp_path / "link")


def test_a_key_without_its_row_does_not_count(tmp_path):
    whole = tmp_path / "whole"
    rows = Rows(whole, width=3, key_bytes=2)
    rows.add([b"aa", b"bb"], np.arange(6, dtype=np.float32).reshape(2, 3))
    for name, lost in (("keys", 1), ("rows.f32", 4)):
        cut = shutil.copytree(whole, tmp_path / f"{name} cut")
        (cut / name).write_bytes((cut / name).read_bytes()[:-lost])
        opened = Rows(cut, width=3, key_bytes=2)
        assert opened.index == {b"aa": 0}
        opened.add([b"cc"], np.full((1, 3), 7, np.float32))
        opened = Rows(cut, width=3, key_bytes=2)
        assert opened.index == {b"aa": 0, b"cc": 1}
        features, where = opened.features(np.array([1, 0, 1]))
        np.testing.assert_array_equal(features[where], [[7] * 3, [0, 1, 2], [7] * 3])
