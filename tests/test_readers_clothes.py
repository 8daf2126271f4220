"""Readers of datasets with a change of clothes, against lists written by hand."""

import re
import shutil

import layouts_clothes as layouts
import pytest
from test_readers import rows

from mbnet_jax.data import DATASETS, read_records
from mbnet_jax.data.checks import count_warnings


def test_last(tmp_path, capsys):
    records = read_records("last", layouts.write_last(tmp_path))
    folder = tmp_path / "last"
    assert [*records] == ["train", "val_query", "val_gallery", "query", "gallery"]
    # No camera is known, clothes 000 are unknown, all others are outfits of a person.
    assert rows(folder / "train", records["train"]) == [
        ("000002/000002_000_00009_0134_01_004.jpg", 0, -1, 0),
        ("000002/000002_001_00009_0134_01_004.jpg", 0, -1, 0),
        ("000002/000002_002_00009_0134_01_011.jpg", 0, -1, 1),
        ("000002/000002_003_00009_0134_01_000.jpg", 0, -1, -1),
        ("000031/000031_000_00009_0134_01_004.jpg", 1, -1, 2),
        ("000031/000031_001_00009_0134_01_004.jpg", 1, -1, 2),
        ("000031/000031_002_00009_0134_01_011.jpg", 1, -1, 3),
        ("000031/000031_003_00009_0134_01_000.jpg", 1, -1, -1),
        ("000480/000480_000_00009_0134_01_004.jpg", 2, -1, 4),
        ("000480/000480_001_00009_0134_01_004.jpg", 2, -1, 4),
        ("000480/000480_002_00009_0134_01_011.jpg", 2, -1, 5),
        ("000480/000480_003_00009_0134_01_000.jpg", 2, -1, -1),
        ("004999/004999_000_00009_0134_01_004.jpg", 3, -1, 6),
        ("004999/004999_001_00009_0134_01_004.jpg", 3, -1, 6),
        ("004999/004999_002_00009_0134_01_011.jpg", 3, -1, 7),
        ("004999/004999_003_00009_0134_01_000.jpg", 3, -1, -1),
    ]
    # Other persons come after the 4 of train.
    assert rows(folder / "val", records["val_query"] + records["val_gallery"]) == [
        ("query/010859_012_01066_1075_01_000.jpg", 10863, -1, -1),
        ("query/010860_012_01066_1075_01_000.jpg", 10864, -1, -1),
        ("gallery/000000/000000_001_00012_0200_01_000.jpg", 4, -1, -1),
        ("gallery/010859/010859_001_01066_10752_02_000.jpg", 10863, -1, -1),
        ("gallery/010859/010859_002_01066_10752_02_000.jpg", 10863, -1, -1),
        ("gallery/010860/010860_001_01066_10752_02_000.jpg", 10864, -1, -1),
        ("gallery/010860/010860_002_01066_10752_02_000.jpg", 10864, -1, -1),
    ]
    assert rows(folder / "test", records["query"] + records["gallery"]) == [
        ("query/005859_012_01066_1075_01_000.jpg", 5863, -1, -1),
        ("query/010903_012_01066_1075_01_000.jpg", 10907, -1, -1),
        ("gallery/000000/000000_001_00012_0200_01_000.jpg", 4, -1, -1),
        ("gallery/005859/005859_001_01066_10752_02_000.jpg", 5863, -1, -1),
        ("gallery/005859/005859_002_01066_10752_02_000.jpg", 5863, -1, -1),
        ("gallery/005895/005859__003_00700_0020_01_000.jpg", 5863, -1, -1),
        ("gallery/010903/010903_001_01066_10752_02_000.jpg", 10907, -1, -1),
        ("gallery/010903/010903_002_01066_10752_02_000.jpg", 10907, -1, -1),
    ]
    own = [r.own for r in (records["train"][0], records["train"][3])]
    assert own == [("000002", "", "004"), ("000002", "", "")]
    assert records["gallery"][0].own == ("000000", "", "")
    [protocol] = DATASETS["last"].protocols
    assert protocol[:4] == ("any", "query", "gallery", "any")
    assert "warning" not in capsys.readouterr().out


@pytest.mark.parametrize("place", ["train/000000", "val/query", "test/query"])
def test_unlabelled_people_of_last_are_in_galleries_only(tmp_path, place):
    folder = layouts.write_last(tmp_path) / "last" / place
    layouts.write_image(folder / "000000_001_00012_0200_01_000.jpg", 1)
    message = rf"1 images in {place.removesuffix('/000000')} have the person 000000"
    with pytest.raises(ValueError, match=message):
        read_records("last", tmp_path)


def test_persons_of_last_with_one_number_are_kept_apart_and_named(tmp_path, capsys):
    folder = layouts.write_last(tmp_path) / "last" / "test" / "query"
    layouts.write_image(folder / "000031_012_01066_1075_01_000.jpg", 1)
    records = read_records("last", tmp_path)
    assert {r.pid for r in records["train"]} == {0, 1, 2, 3}
    assert [r.pid for r in records["query"]] == [35, 5863, 10907]
    printed = capsys.readouterr().out
    assert "last: 1 persons of train have numbers of persons of the test: 000031." in (
        printed
    )


@pytest.mark.parametrize("name", ["DeepChangeDataset", "DeepChange"])
def test_deepchange(tmp_path, name):
    records = read_records("deepchange", layouts.write_deepchange(tmp_path, name))
    assert [*records] == ["train", "val_query", "val_gallery", "query", "gallery"]

    def listed(split):
        assert all(r.clothes == -1 for r in records[split])
        return [(r.path.name[:5], r.pid, r.camera, r.tracklet) for r in records[split]]

    # In the order of the list; the image that it does not name is left out.
    assert listed("train") == [
        ("p0003", 0, 0, 0),
        ("p0003", 0, 0, 0),
        ("p0003", 0, 16, 1),
        ("p0005", 1, 0, 2),
        ("p0005", 1, 0, 2),
        ("p0005", 1, 16, 3),
        ("p0008", 2, 0, 4),
        ("p0008", 2, 0, 4),
        ("p0008", 2, 16, 5),
        ("p0013", 3, 0, 6),
        ("p0013", 3, 0, 6),
        ("p0013", 3, 16, 7),
    ]
    # Tracklets 3, 5, 21, 34, 103, 105, 121, 134. 3 and 5 are nobody of train.
    assert listed("val_query") == [("p0021", 25, 1, 2), ("p0003", 7, 1, 0)]
    assert listed("val_gallery") == [
        *(("p0021", 25, 1, 2), ("p0021", 25, 1, 6)),
        *(("p0003", 7, 1, 0), ("p0003", 7, 1, 4)),
    ]
    assert listed("query") == [("p0005", 9, 1, 1), ("p0034", 38, 1, 3)]
    assert listed("gallery") == [
        *(("p0005", 9, 1, 1), ("p0005", 9, 1, 5)),
        *(("p0034", 38, 1, 3), ("p0034", 38, 1, 7)),
    ]
    folder = tmp_path / name
    assert records["gallery"][3].path == folder / "test-set-gallery" / (
        "p0034_c02_20201015_172622_000744_bbox.jpg"
    )
    assert records["query"][0].own == ("0005", "02", "")
    assert [p.rule for p in DATASETS["deepchange"].protocols] == ["same_tracklet_out"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("p0003_c01_a_bbox.jpg,x", "line 2 is .*, expected a line like .*_bbox.jpg,12"),
        ("p0003_c01_a_bbox.jpg,", "line 2 is"),
        ("p0003_c01_a_bbox.jpg", "line 2 is"),
        ("p0003_c01_a_bbox.jpg,1.5", "line 2 is"),
        ("p0003_c00_a_bbox.jpg,1", "line 2 is"),
        ("../p0003_c01_a_bbox.jpg,1", "line 2 is"),
        ("p0003_c01_a_bbox.txt,1", "line 2: .* must be the path of an image in"),
        ("p0003_c01_a_bbox.jpg,1", r"1 of 3 .*missing: .*\(.*train-set-bbox.*line 2"),
    ],
)
def test_a_wrong_line_of_deepchange_is_refused(tmp_path, line, message):
    folder = layouts.write_deepchange(tmp_path) / "DeepChangeDataset"
    for other in folder.glob("*-bbox.txt"):
        other.write_text("\n".join(other.read_text().splitlines()[:1]))
    file = folder / "train-set-bbox.txt"
    file.write_text(f"{file.read_text()}\n{line}\n")
    message = message.replace("1 of 3", "1 of 6")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_records("deepchange", tmp_path)


def test_deepchange_is_not_read_without_a_list_or_in_two_folders(tmp_path):
    folder = layouts.write_deepchange(tmp_path) / "DeepChangeDataset"
    (folder / "val-set-gallery-bbox.txt").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"val-set-gallery-bbox\.txt is missing"
    ):
        read_records("deepchange", tmp_path)
    (tmp_path / "DeepChange").mkdir()
    with pytest.raises(ValueError, match="DeepChange are both there"):
        read_records("deepchange", tmp_path)
    shutil.rmtree(folder)
    (tmp_path / "DeepChange").rmdir()
    with pytest.raises(
        FileNotFoundError, match=r"DeepChangeDataset or DeepChange; .*comes from https"
    ):
        read_records("deepchange", tmp_path)


def test_listed_images_may_be_links_but_not_folders(tmp_path):
    folder = layouts.write_deepchange(tmp_path) / "DeepChangeDataset"
    records = read_records("deepchange", tmp_path)
    image = records["query"][0].path
    image.rename(tmp_path / "elsewhere.jpg")
    image.symlink_to(tmp_path / "elsewhere.jpg")
    assert read_records("deepchange", tmp_path) == records
    image.unlink()
    image.mkdir()
    with pytest.raises(ValueError, match=r"1 of 24 listed .* \(a folder\)"):
        read_records("deepchange", tmp_path)
    file = folder / "test-set-query-bbox.txt"
    file.write_text(2 * f"{file.read_text().splitlines()[0]}\n")
    with pytest.raises(ValueError, match=r"line 2 lists .* again, after .*line 1"):
        read_records("deepchange", tmp_path)


@pytest.mark.parametrize(
    ("name", "folder"),
    [("celeb_reid", "Celeb-reID"), ("celeb_reid_light", "Celeb-reID-light")],
)
def test_celeb_reid(tmp_path, name, folder):
    records = read_records(name, layouts.write_celeb_reid(tmp_path, folder))
    assert rows(tmp_path / folder, records["train"]) == [
        ("train/10_15_0.jpg", 2, -1, -1),
        ("train/10_1_0.jpg", 2, -1, -1),
        ("train/1_15_0.jpg", 0, -1, -1),
        ("train/1_1_0.jpg", 0, -1, -1),
        ("train/2_15_0.jpg", 1, -1, -1),
        ("train/2_1_0.jpg", 1, -1, -1),
        ("train/632_15_0.jpg", 3, -1, -1),
        ("train/632_1_0.jpg", 3, -1, -1),
    ]
    # 1 and 2 are other people than those of train, in files of the same names.
    assert rows(tmp_path / folder, records["query"] + records["gallery"]) == [
        ("query/1_1_0.jpg", 5, -1, -1),
        ("query/2_1_0.jpg", 6, -1, -1),
        ("gallery/1_15_0.jpg", 5, -1, -1),
        ("gallery/1_28_0.jpg", 5, -1, -1),
        ("gallery/2_15_0.jpg", 6, -1, -1),
        ("gallery/2_28_0.jpg", 6, -1, -1),
    ]
    assert records["query"][0].own == ("1", "", "")
    [protocol] = DATASETS[name].protocols
    assert protocol[:4] == ("any", "query", "gallery", "any")


def test_nkup(tmp_path):
    records = read_records("nkup", layouts.write_nkup(tmp_path))
    assert rows(tmp_path, records["train"]) == [
        ("bounding_box_train/0001_D0912_C03S01_00151.jpg", 0, 2, -1),
        ("bounding_box_train/0001_D1203_C15S01_00151.jpg", 0, 14, -1),
        ("bounding_box_train/0005_D0912_C03S01_00151.jpg", 1, 2, -1),
        ("bounding_box_train/0005_D1203_C15S01_00151.jpg", 1, 14, -1),
        ("bounding_box_train/0012_D0912_C03S01_00151.jpg", 2, 2, -1),
        ("bounding_box_train/0012_D1203_C15S01_00151.jpg", 2, 14, -1),
        ("bounding_box_train/0040_D0912_C03S01_00151.jpg", 3, 2, -1),
        ("bounding_box_train/0040_D1203_C15S01_00151.jpg", 3, 14, -1),
    ]
    # 0005 is taken for another person than that of train.
    assert rows(tmp_path, records["query"] + records["gallery"]) == [
        ("query/0005_D0912_C03S01_00151.jpg", 9, 2, -1),
        ("query/0077_D0912_C03S01_00151.jpg", 81, 2, -1),
        ("bounding_box_test/0000_D1120_C08S02_00051.jpg", 4, 7, -1),
        ("bounding_box_test/0005_D1120_C03S02_00026.jpg", 9, 2, -1),
        ("bounding_box_test/0005_D1120_C08S02_00026.jpg", 9, 7, -1),
        ("bounding_box_test/0077_D1120_C03S02_00026.jpg", 81, 2, -1),
        ("bounding_box_test/0077_D1120_C08S02_00026.jpg", 81, 7, -1),
    ]
    assert records["query"][0].own == ("0005", "03", "")
    assert [p.rule for p in DATASETS["nkup"].protocols] == ["general"]


def test_nkup_may_be_in_a_folder_of_its_name(tmp_path):
    layouts.write_nkup(tmp_path / "NKUP")
    assert len(read_records("nkup", tmp_path)["train"]) == 8


def test_a_negative_person_of_nkup_is_not_guessed_at(tmp_path):
    folder = layouts.write_nkup(tmp_path) / "bounding_box_test"
    layouts.write_image(folder / "-1_D1120_C08S02_00051.jpg", 1)
    with pytest.raises(ValueError, match=r"-1_D1120.* the person -1\. NKUP has distr"):
        read_records("nkup", tmp_path)


def test_counts_that_are_not_published_are_not_compared(tmp_path):
    records = read_records("nkup", layouts.write_nkup(tmp_path))
    assert count_warnings(DATASETS["nkup"], records) == [
        f"nkup {split}: {images} images of {persons} persons here, {published} as "
        "published; figures will not compare"
        for split, images, persons, published in (
            ("train", 8, 4, "5336 of 40"),
            ("query", 2, 2, "332 images"),
            ("gallery", 5, 3, "4070 images"),
        )
    ]
    records = read_records("deepchange", layouts.write_deepchange(tmp_path))
    [line] = count_warnings(DATASETS["deepchange"], records)
    assert "12 images of 4 persons here, 450 persons as published" in line
    exact = {"train": records["train"][:1] * 332, "query": [], "gallery": []}
    exact["query"] = exact["gallery"] = exact["train"]
    lines = count_warnings(DATASETS["nkup"], exact)
    assert [re.match(r"nkup (\w+):", line)[1] for line in lines] == ["train", "gallery"]
