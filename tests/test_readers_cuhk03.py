"""CUHK03 in its two forms: the authors' files, and folders in Market-1501's form."""

import os

import layouts_standard
import numpy as np
import pytest
from layouts_standard import CUHK03, cuhk03_pixels
from test_readers import rows

from mbnet_jax.data import read_records
from mbnet_jax.data.datasets import cuhk03_unpack
from mbnet_jax.images import read_image

SPLIT = "cuhk03_new_protocol_config_detected.mat"


@pytest.mark.parametrize(
    ("variant", "kind", "ending"),
    [("detected", "detected", "png"), ("labelled", "labeled", "jpg")],
)
def test_folders(tmp_path, variant, kind, ending):
    layouts_standard.write_cuhk03_np(tmp_path, kind, ending)
    records = read_records("cuhk03", tmp_path)
    assert records == read_records("cuhk03", tmp_path, variant=variant)
    folder = tmp_path / "cuhk03-np" / kind
    assert rows(folder, records["train"]) == [
        (f"bounding_box_train/{person}_c{view}_{image}.{ending}", pid, view - 1, -1)
        for pid, person in enumerate(("0001", "0003", "0844"))
        for view, image in ((1, 1), (1, 2), (2, 6), (2, 7))
    ]
    for split, subfolder, images in (
        ("query", "query", ((1, 1), (2, 6))),
        ("gallery", "bounding_box_test", ((1, 2), (2, 7))),
    ):
        assert rows(folder, records[split]) == [
            (f"{subfolder}/{person:04d}_c{view}_{image}.{ending}", person, view - 1, -1)
            for person in (2, 1467)
            for view, image in images
        ]
    assert records["query"][0].own == ("0002", "1", "")


def labels(records):
    """What a form says of each image, by split; its name is another in the other."""
    return {
        split: sorted((r.pid, r.camera, r.clothes, r.own) for r in records[split])
        for split in records
    }


@pytest.mark.parametrize("place", ["", "cuhk03", "cuhk03_release"])
def test_both_forms_say_the_same(tmp_path, place):
    expected = labels(
        read_records("cuhk03", layouts_standard.write_cuhk03_np(tmp_path / "np"))
    )
    folder = tmp_path / "mat" / place
    layouts_standard.write_cuhk03_split(folder)
    layouts_standard.write_cuhk03_images(folder)
    records = read_records("cuhk03", tmp_path / "mat")
    assert labels(records) == expected
    assert rows(folder, records["train"])[:5] == [
        ("images_detected/1_001_1_01.png", 0, 0, -1),
        ("images_detected/1_001_1_02.png", 0, 0, -1),
        ("images_detected/1_001_2_06.png", 0, 1, -1),
        ("images_detected/1_001_2_07.png", 0, 1, -1),
        ("images_detected/1_003_1_01.png", 1, 0, -1),
    ]
    # A training person keeps its number apart from those of the test: 1 and 2 of the
    # files are 0 in train and 2 in test.
    assert rows(folder, records["query"])[0] == (
        *("images_detected/1_002_1_01.png", 2, 0, -1),
    )


def test_the_authors_file_is_unpacked_once(tmp_path):
    file = tmp_path / "cuhk03" / "cuhk03_release" / "cuhk-03.mat"
    layouts_standard.write_cuhk03_mat(file)
    for kind in ("detected", "labeled"):
        layouts_standard.write_cuhk03_split(tmp_path / "cuhk03", kind)
    with pytest.raises(ValueError, match="several variants of cuhk03: detected, label"):
        read_records("cuhk03", tmp_path)
    # What a kill left: a whole image, and one that was being written.
    left = tmp_path / "cuhk03" / "images_labeled.part" / "images"
    left.mkdir(parents=True)
    for name in ("1_001_1_01.png", "1_001_1_02.png.77.part"):
        (left / name).write_bytes(b"")
    records = read_records("cuhk03", tmp_path, variant="labelled")
    assert sorted(os.listdir(file.parent.parent)) == [
        *("cuhk03_new_protocol_config_detected.mat",),
        *("cuhk03_new_protocol_config_labeled.mat", "cuhk03_release", "images_labeled"),
    ]
    unpacked = tmp_path / "cuhk03" / "images_labeled"
    assert sorted(os.listdir(unpacked)) == sorted(
        f"{pair}_{person:03d}_{view}_{image:02d}.png"
        for pair, person, view, image in CUHK03
    )
    for pair, person, view, image in CUHK03:
        found = read_image(unpacked / f"{pair}_{person:03d}_{view}_{image:02d}.png")
        np.testing.assert_array_equal(found, cuhk03_pixels(pair, person, image))
    file.unlink()
    assert read_records("cuhk03", tmp_path) == records  # the only one that is left


def test_a_kill_while_unpacking_leaves_nothing_that_is_taken_for_whole(
    tmp_path, monkeypatch
):
    layouts_standard.write_cuhk03_mat(tmp_path / "cuhk-03.mat")
    layouts_standard.write_cuhk03_split(tmp_path)
    write, written = cuhk03_unpack.write_whole, []

    def killed(path, data, **options):
        if len(written) == 7:
            raise KeyboardInterrupt
        written.append(path)
        write(path, data, **options)

    monkeypatch.setattr(cuhk03_unpack, "write_whole", killed)
    with pytest.raises(KeyboardInterrupt):
        read_records("cuhk03", tmp_path, variant="detected")
    assert len(written) == 7 and not (tmp_path / "images_detected").exists()
    monkeypatch.undo()
    assert len(read_records("cuhk03", tmp_path, variant="detected")["train"]) == 12
    assert len(os.listdir(tmp_path / "images_detected")) == len(CUHK03)
    # Somebody's file in the way is not deleted.
    mine = tmp_path / "images_labeled.part" / "images" / "mine.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"")
    layouts_standard.write_cuhk03_split(tmp_path, "labeled")
    with pytest.raises(FileExistsError, match=r"did not write: mine\.png"):
        read_records("cuhk03", tmp_path, variant="labelled")
    assert mine.exists()


def test_without_the_new_protocols_split_nothing_is_guessed(tmp_path):
    layouts_standard.write_cuhk03_images(tmp_path / "cuhk03")
    with pytest.raises(
        FileNotFoundError,
        match=rf"without {SPLIT}.* comes from https://github\.com/zhunzhong07/.*"
        r"old protocol's splits are not read",
    ):
        read_records("cuhk03", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"must hold cuhk03-np/detected or"):
        read_records("cuhk03", tmp_path / "none")


def test_a_person_on_both_sides_is_refused(tmp_path):
    # As in a repackaging that went around.
    layouts_standard.write_cuhk03_images(tmp_path)
    persons = np.array([[1 if p == 2 else p] for p in CUHK03.values()], float)
    layouts_standard.write_cuhk03_split(tmp_path, labels=persons)
    with pytest.raises(ValueError, match=r"1 person is both .*: 0001 \(.*1_001_1_01"):
        read_records("cuhk03", tmp_path)


def changed_names(old, new):
    names = np.empty((len(CUHK03), 1), object)
    for n, (pair, person, view, image) in enumerate(CUHK03):
        names[n, 0] = f"{pair}_{person:03d}_{view}_{image:02d}.png".replace(old, new)
    return names


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_idx": [[0, 1]]}, r"train_idx, image 0: there are 20"),
        ({"query_idx": [[21]]}, r"query_idx, image 21: there are 20"),
        ({"query_idx": [[1]]}, r"query_idx, image 1 lists .* again, after .*train_idx"),
        ({"camId": [[1]]}, r"20 names, 20 persons and 1 cameras"),
        (
            {"camId": np.full((20, 1), 2)},
            r"image 1: .* like 1_001_2_01\.png, of camera 2, not '1_001_1_01\.png",
        ),
        ({"filelist": changed_names("1_001_1_01", "../x")}, r"image 1: .* not '\.\./x"),
        ({"labels": [["a"]]}, r"is no split of the new protocol \(ValueError"),
    ],
)
def test_a_split_that_does_not_fit_is_named(tmp_path, changed, message):
    layouts_standard.write_cuhk03_images(tmp_path)
    layouts_standard.write_cuhk03_split(tmp_path, **changed)
    with pytest.raises(ValueError, match=rf"{SPLIT}.*{message}"):
        read_records("cuhk03", tmp_path)


def test_damaged_files_are_named(tmp_path):
    layouts_standard.write_cuhk03_mat(tmp_path / "cuhk-03.mat")
    for content in (b"", b"x" * 1000):
        (tmp_path / SPLIT).write_bytes(content)
        with pytest.raises(ValueError, match=rf"{SPLIT} is no split of the new prot"):
            read_records("cuhk03", tmp_path, variant="detected")
    layouts_standard.write_cuhk03_split(tmp_path)
    whole = (tmp_path / "cuhk-03.mat").read_bytes()
    for content in (b"", b"x" * 1000, whole[: len(whole) // 2]):
        (tmp_path / "cuhk-03.mat").write_bytes(content)
        with pytest.raises(ValueError, match=r"cuhk-03\.mat cannot be unpacked \(OSE"):
            read_records("cuhk03", tmp_path, variant="detected")
        assert not (tmp_path / "images_detected").exists()


def test_an_image_that_was_not_unpacked_is_named_with_its_place(tmp_path):
    layouts_standard.write_cuhk03_images(tmp_path)
    layouts_standard.write_cuhk03_split(tmp_path)
    (tmp_path / "images_detected" / "1_002_2_06.png").unlink()
    with pytest.raises(
        FileNotFoundError,
        match=rf"1 of 20 .*1_002_2_06\.png \(.*{SPLIT}, query_idx, image 7\)",
    ):
        read_records("cuhk03", tmp_path)
