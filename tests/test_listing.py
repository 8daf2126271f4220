"""Folders with what is not an image: pipes, links, names, numbers, missing splits."""

import os
import socket

import layouts
import pytest

from mbnet_jax.data import DATASETS, DatasetSpec, read_records, register
from mbnet_jax.data.datasets import listing

NAME = "002_1_c1_000000.png"


def open_socket(path):
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(path))


KINDS = {
    "a named pipe": os.mkfifo,
    "a folder": os.mkdir,
    "a socket": open_socket,
    "a broken link": lambda path: path.symlink_to("nowhere"),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "Too many levels of symbolic links": lambda path: path.symlink_to(path.name),
}


@pytest.fixture
def train(tmp_path, monkeypatch):
    root = layouts.write_ltcc(tmp_path)
    monkeypatch.chdir(root / "LTCC_ReID" / "train")  # a socket's path must be short
    return root / "LTCC_ReID" / "train"


def refused(folder, match, kind=ValueError):
    with pytest.raises(kind, match=match):
        read_records("ltcc", folder.parent.parent)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_is_named(kind, train):
    KINDS[kind](train / NAME if kind != "a socket" else NAME)
    refused(
        train, rf"1 of 17 images are not regular files: .*/{NAME} \({kind}\)\. Replace"
    )


@pytest.mark.parametrize("target", [".", "..", "../query"])
def test_a_folder_is_read_once(target, train):
    (train / "linked").symlink_to(target)
    if target == "../query":  # a detour that ends
        (train / "again").symlink_to(target)
    refused(train, r" and .* are one folder, through a link; remove the link")


def test_a_broken_link_that_may_be_a_folder_is_named(train):
    (train / "more").symlink_to("nowhere")
    refused(train, r"train/more cannot be read \(No such file.*remove it", OSError)


def test_a_folder_that_cannot_be_listed_is_named(train, monkeypatch):
    def denied(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(listing.os, "scandir", denied)
    refused(train, r"train cannot be listed \(Permission denied\); make it", OSError)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("test/99999999999_1_c1_1.png", r"person 99999999999 of .*/test/9.* from 0 to"),
        ("test/7_1_c99999999999_1.png", r"camera 99999999998 of .*_1\.png must be"),
        ("test/7_1_c0_1.png", r"1 of 9 .* 'gallery' have no camera: .*7_1_c0_1\.png"),
        ("train/٠٠٢_1_c1_1.png", r"1 of 17 images are named otherwise: ٠٠٢_1"),
        ("train/2_1_c1_a\nb.png", r"named otherwise: 2_1_c1_a\\nb\.png\."),
        (
            "train/2_1_c1_\udce9.png",
            r"name of the file .*2_1_c1_\ufffd\.png must be UTF",
        ),
    ],
)
def test_names_that_cannot_be_read_are_refused(name, message, train):
    (train.parent / name).write_bytes(b"")
    refused(train, message)


def test_a_large_number_of_a_training_person_is_only_a_name(train):
    layouts.write_image(train / "99999999999_1_c1_1.png", 1)
    records = read_records("ltcc", train.parent.parent)
    assert max(record.pid for record in records["train"]) == 4


@pytest.mark.parametrize("root", ["", "\0", "a\0b", 5, None, b"data"])
def test_a_root_that_is_no_path_is_refused(root):
    with pytest.raises(ValueError, match=r"root=.* must be the path of a folder"):
        read_records("ltcc", root)


@pytest.mark.parametrize("make", [lambda path: path.write_text(""), os.mkfifo])
def test_a_root_that_is_a_file_is_refused(make, tmp_path):
    make(tmp_path / "data")
    with pytest.raises(FileNotFoundError, match=r"but .*/data is none\. LTCC"):
        read_records("ltcc", tmp_path / "data")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda records: records.pop("train"), "the split 'train' is missing"),
        (lambda records: records.pop("query"), "the split 'query' is missing; found t"),
        (lambda records: records.update(gallery=[]), "split 'gallery' has no image"),
        (lambda records: records["query"].append(records["query"][0]._replace(pid="x")),
         "the person x of .* must be a number"),
    ],
)  # fmt: skip
def test_records_of_a_dataset_from_outside_are_checked(change, message, train, request):
    def read(folder):
        records = DATASETS["ltcc"].read(folder)
        change(records)
        return records

    register(DatasetSpec(name="toy", read=read, folder="LTCC_ReID"))
    request.addfinalizer(lambda: DATASETS.pop("toy"))
    with pytest.raises(ValueError, match=message):
        read_records("toy", train.parent.parent)
