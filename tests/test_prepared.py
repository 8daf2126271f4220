"""The prepared copy of a dataset: damage, and folders that cannot be written to."""

import json
import os
import shutil

import pytest
import tiny

from mbnet_jax.data import read_records
from mbnet_jax.data.builder import ReIdBuilder, fingerprint, prepare
from mbnet_jax.files import delete
from mbnet_jax.locks import locked

TRAIN, QUERY, GALLERY = (
    f"reid-{split}.array_record-00000-of-00001"
    for split in ("train", "query", "gallery")
)
INFO = "dataset_info.json"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Records, their root, and a folder with their prepared copy."""
    root = tiny.write_folder(tmp_path_factory.mktemp("raw"))
    records = read_records("synthetic", root)
    folder = tmp_path_factory.mktemp("prepared")
    prepare(records, root, folder)
    return records, root, folder


@pytest.fixture
def copied(prepared, tmp_path):
    """The same with a copy of the folder, and the copy's files."""
    records, root, folder = prepared
    shutil.copytree(folder, tmp_path / "prepared")
    (files,) = (tmp_path / "prepared").glob("*/reid/2.0.0")
    return records, root, tmp_path / "prepared", files


def cut(name, size):
    return lambda files: os.truncate(files / name, size)


def written(name, content):
    text = content if isinstance(content, str) else json.dumps(content)
    return lambda files: (files / name).write_text(text)


def swapped(files):
    for old, new in ((QUERY, "x"), (GALLERY, QUERY), ("x", GALLERY)):
        (files / old).rename(files / new)


def as_file(files):
    shutil.rmtree(files)
    files.write_text("")


def as_pipe(files):
    (files / TRAIN).unlink()
    os.mkfifo(files / TRAIN)


def other_count(files):
    info = json.loads((files / INFO).read_text())
    info["splits"][0]["shardLengths"] = ["7"]
    (files / INFO).write_text(json.dumps(info))


DAMAGE = {
    "info missing": (lambda files: (files / INFO).unlink(), "splits"),
    "info null": (written(INFO, None), "NoneType"),
    "info mistyped": (written(INFO, {"splits": "x"}), "splits"),
    "info cut": (cut(INFO, 200), "JSON"),
    "another count": (other_count, "train has 7 records instead of 32"),
    "records missing": (lambda files: (files / TRAIN).unlink(), "No such file"),
    "records cut": (cut(TRAIN, 1000), "at least 64KB"),
    "records of zeros": (written(TRAIN, "\0" * 70_000), "Corrupted"),
    "records swapped": (swapped, r"record 0 of query is gallery/.* instead of query/"),
    "a pipe": (as_pipe, "a named pipe"),
    "a file": (as_file, "is not a folder"),
    "nothing": (lambda files: [f.unlink() for f in files.iterdir()], "splits"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_copy_is_named_with_the_remedy(name, copied):
    records, root, folder, files = copied
    damage, reason = DAMAGE[name]
    damage(files)
    where = files.parent.parent
    with pytest.raises(
        ValueError,
        match=rf"copy in {where} is damaged .*{reason}.*delete {where} to prepare it",
    ):
        prepare(records, root, folder)


def test_a_copy_is_opened_without_writing(copied, monkeypatch):
    records, root, folder, _ = copied
    monkeypatch.setattr("mbnet_jax.data.builder.locked", None)
    monkeypatch.setattr("mbnet_jax.data.builder.check_writable", None)
    assert len(prepare(records, root, folder)["train"]) == 32


def test_a_folder_that_cannot_be_written_to_is_named(prepared, tmp_path):
    records, root, _ = prepared
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/\w+ cannot be written to .*data\.root"):
        prepare(records, root, tmp_path / "file")


def test_a_full_disk_is_named(prepared, tmp_path, monkeypatch):
    def fails(self):
        raise RuntimeError("write() failed: No space left on device\nat byte 7")

    monkeypatch.setattr(ReIdBuilder, "download_and_prepare", fails)
    records, root, _ = prepared
    with pytest.raises(
        OSError, match=r"copy in .* cannot be written \(.*No space.*device\); make room"
    ):
        prepare(records, root, tmp_path)


def test_an_image_that_vanishes_is_named(tmp_path, monkeypatch):
    root = tiny.write_folder(tmp_path / "raw")
    records = read_records("synthetic", root)
    image = records["query"][3].path
    monkeypatch.setattr(
        "mbnet_jax.data.builder.check_writable", lambda *_: image.unlink()
    )
    for _ in range(2):  # while it is copied, and before
        with pytest.raises(
            FileNotFoundError, match=rf"{image} was listed, but is miss"
        ):
            prepare(records, root, tmp_path / "prepared")


def left_over(records, root, folder):
    """A half-written copy, as a kill leaves it."""
    path = folder / fingerprint(records, root) / "reid" / "incomplete.ABCDEF_2.0.0"
    path.mkdir(parents=True)
    (path / TRAIN).write_bytes(b"half")
    return path


def test_only_what_preparing_wrote_is_deleted(prepared, tmp_path):
    records, root, _ = prepared
    path = left_over(records, root, tmp_path)
    (path / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=rf"{path} holds .*: thesis\.txt; move"):
        prepare(records, root, tmp_path)
    assert {file.name for file in path.iterdir()} == {TRAIN, "thesis.txt"}
    (path / "thesis.txt").unlink()
    prepare(records, root, tmp_path)
    assert not path.exists()


def test_nothing_is_deleted_through_a_link(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / INFO).write_text("")
    link = tmp_path / "link"
    link.symlink_to("theirs")
    with pytest.raises(FileExistsError, match="link is a link, which this program did"):
        delete(link, [INFO])
    assert (tmp_path / "theirs" / INFO).exists()


def test_the_second_of_two_waits_and_reads_the_firsts_copy(copied, capsys, monkeypatch):
    records, root, folder, files = copied
    hidden = files.rename(files.with_name("later"))
    holding = locked(files.parent.parent)

    def first_ends(text, file):
        print(text, file=file)
        hidden.rename(files)
        holding.__exit__(None, None, None)

    monkeypatch.setattr("mbnet_jax.locks.print", first_ends, raising=False)
    monkeypatch.setattr("mbnet_jax.data.builder.checked_contents", None)
    with holding:
        prepare(records, root, folder)
    assert f"in use by process {os.getpid()} on " in capsys.readouterr().err
