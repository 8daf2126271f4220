"""Market-1501 and MSMT17 on small copies, against lists written by hand."""

import layouts
import layouts_standard
import pytest
from layouts_standard import MARKET
from test_readers import rows

from mbnet_jax.data import read_records
from mbnet_jax.data.records import UNKNOWN


def test_market1501_keeps_distractors_and_marks_junk(tmp_path):
    records = read_records("market1501", layouts_standard.write_market1501(tmp_path))
    assert list(records) == ["train", "query", "gallery"]
    folder = tmp_path / MARKET
    assert rows(folder, records["train"]) == [
        (f"bounding_box_train/{person}_c{camera}s1_000451_0{box}.jpg", pid, at, -1)
        for pid, person in enumerate(("0002", "0007", "0010", "1500"))
        for camera, at in ((1, 0), (6, 5))
        for box in (1, 2)
    ]
    assert rows(folder, records["query"]) == [
        ("query/0001_c1s1_001051_00.jpg", 1, 0, -1),
        ("query/0001_c2s2_001051_00.jpg", 1, 1, -1),
        ("query/0003_c1s1_001051_00.jpg", 3, 0, -1),
        ("query/0003_c2s2_001051_00.jpg", 3, 1, -1),
    ]
    assert rows(folder, records["gallery"]) == [
        ("bounding_box_test/-1_c1s1_000401_03.jpg", -1, 0, -1),
        ("bounding_box_test/-1_c2s1_000426_01.jpg", -1, 1, -1),
        ("bounding_box_test/-1_c3s2_009001_04.jpg", -1, 2, -1),
        ("bounding_box_test/0000_c1s1_000151_01.jpg", 0, 0, -1),
        ("bounding_box_test/0000_c4s6_090001_02.jpg", 0, 3, -1),
        ("bounding_box_test/0001_c1s1_001051_01.jpg", 1, 0, -1),
        ("bounding_box_test/0001_c2s2_001051_01.jpg", 1, 1, -1),
        ("bounding_box_test/0003_c1s1_001051_01.jpg", 3, 0, -1),
        ("bounding_box_test/0003_c2s2_001051_01.jpg", 3, 1, -1),
    ]
    assert records["gallery"][0].own == ("-1", "1", "")
    assert records["gallery"][3].own == ("0000", "1", "")


@pytest.mark.parametrize("place", [f"market1501/{MARKET}", "market1501"])
def test_market1501_may_be_below_another_folder(tmp_path, place):
    layouts_standard.write_market1501(tmp_path, place)
    records = read_records("market1501", tmp_path)
    assert len(records["gallery"]) == 9
    assert records["train"][0].path.parent == tmp_path / place / "bounding_box_train"
    layouts_standard.write_market1501(tmp_path)
    with pytest.raises(ValueError, match=r"are both there, and may differ"):
        read_records("market1501", tmp_path)


@pytest.mark.parametrize("split", ["bounding_box_train", "query"])
@pytest.mark.parametrize("person", ["-1", "0000"])
def test_only_market1501s_gallery_has_nobody(tmp_path, split, person):
    layouts_standard.write_market1501(tmp_path)
    name = f"{person}_c1s1_000451_07.jpg"
    layouts.write_image(tmp_path / MARKET / split / name, 1)
    with pytest.raises(ValueError, match=rf"1 of \d+ images are .*: {name}"):
        read_records("market1501", tmp_path)


def test_a_missing_market1501_is_named_with_its_places(tmp_path):
    (tmp_path / "Market").mkdir()
    with pytest.raises(
        FileNotFoundError,
        match=r"must hold Market-1501-v15\.09\.15/bounding_box_train or market1501/"
        r".*; it holds Market\. Market-1501 \(Z.* comes from https://zheng-lab",
    ):
        read_records("market1501", tmp_path)


PLACES = [
    ("MSMT17_V1", "v1"),
    ("MSMT17_V2", "v2"),
    ("MSMT17", "v1"),
    ("MSMT17", "v2"),
    ("msmt17/MSMT17_V1", "v1"),
]


@pytest.mark.parametrize(("place", "variant"), PLACES)
def test_msmt17_follows_its_lists(tmp_path, place, variant):
    layouts_standard.write_msmt17(tmp_path, place, variant)
    records = read_records("msmt17", tmp_path)
    assert records == read_records("msmt17", tmp_path, variant=variant)
    assert list(records) == ["train", "val", "query", "gallery"]
    folder = tmp_path / place
    train, test = layouts_standard.MSMT17[variant]
    assert rows(folder, records["train"]) == [
        (f"{train}/{person}/{person}_{name}.jpg", pid, camera, UNKNOWN)
        for pid, person in enumerate(("0000", "0001", "0002", "0003"))
        for name, camera in (
            ("002_01_0303morning_0008_2", 0),
            ("003_01_0303morning_0008_3", 0),
            ("030_15_0303morning_0008_30", 14),
            ("031_15_0303morning_0008_31", 14),
        )
    ]
    assert rows(folder, records["val"]) == [
        (f"{train}/{person}/{person}_{name}.jpg", pid, camera, UNKNOWN)
        for pid, person in enumerate(("0000", "0001"))
        for name, camera in (
            ("040_01_0303morning_0008_40", 0),
            ("041_15_0303morning_0008_41_ex", 14),
        )
    ]
    # Persons of test are counted from 0 again: they are not those of train.
    assert rows(folder, records["query"]) == [
        (f"{test}/0000/0000_002_02_0303morning_0008_2.jpg", 4, 1, UNKNOWN),
        (f"{test}/0000/0000_014_14_0303morning_0008_14.jpg", 4, 13, UNKNOWN),
        (f"{test}/0001/0001_002_02_0303morning_0008_2.jpg", 5, 1, UNKNOWN),
        (f"{test}/0001/0001_014_14_0303morning_0008_14.jpg", 5, 13, UNKNOWN),
    ]
    assert rows(folder, records["gallery"]) == [
        (f"{test}/0000/0000_022_02_0303morning_0008_22.jpg", 4, 1, UNKNOWN),
        (f"{test}/0000/0000_034_14_0303morning_0008_34.jpg", 4, 13, UNKNOWN),
        (f"{test}/0001/0001_022_02_0303morning_0008_22_ex.jpg", 5, 1, UNKNOWN),
        (f"{test}/0001/0001_034_14_0303morning_0008_34_ex.jpg", 5, 13, UNKNOWN),
    ]
    assert records["query"][0].own == ("0000", "02", "")


def test_of_two_versions_one_is_chosen(tmp_path):
    layouts_standard.write_msmt17(tmp_path)
    layouts_standard.write_msmt17(tmp_path, "MSMT17_V2", "v2")
    with pytest.raises(ValueError, match=r"several variants .*: v1, v2\. Set data"):
        read_records("msmt17", tmp_path)
    for variant, folder in (("v1", "train"), ("v2", "mask_train_v2")):
        train = read_records("msmt17", tmp_path, variant=variant)["train"]
        assert {row.path.parent.parent.name for row in train} == {folder}
    layouts_standard.write_msmt17(tmp_path, "MSMT17", "v2")
    with pytest.raises(ValueError, match=r"MSMT17_V2/mask.* and .*MSMT17/mask.* both"):
        read_records("msmt17", tmp_path, variant="v2")


def test_a_version_that_is_not_there_is_named(tmp_path):
    layouts_standard.write_msmt17(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"MSMT17_V2/mask_train_v2.*_V1\. MSMT"):
        read_records("msmt17", tmp_path, variant="v2")
    with pytest.raises(ValueError, match=r"'v3' is no variant of msmt17; .*'v1', 'v2'"):
        read_records("msmt17", tmp_path, variant="v3")


def test_msmt17_without_lists_is_refused(tmp_path):
    layouts_standard.write_msmt17(tmp_path)
    for split in ("train", "gallery"):
        (tmp_path / "MSMT17_V1" / f"list_{split}.txt").unlink()
    with pytest.raises(
        FileNotFoundError,
        match=r"MSMT17_V1 has no list_train\.txt, list_gallery\.txt\. The four lists "
        r"come with the dataset.* not guessed .* comes from its authors",
    ):
        read_records("msmt17", tmp_path)


GOOD = "0000/0000_002_01_0303morning_0008_2.jpg"
OTHER = "0000/0000_003_01_0303morning_0008_3.jpg"


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        (
            "0000/0000_002.jpg 0",
            ValueError,
            "is '0000/0000_002.jpg 0', expected a",
        ),
        (GOOD, ValueError, "expected a line like '0000/0000_000_01_0303morning_"),
        (f"{GOOD} 0 1", ValueError, "expected a line like"),
        (GOOD.replace("_01_", "_00_") + " 0", ValueError, "expected a line like"),
        (f"{GOOD} 1", ValueError, "is of the person 0000 by its name, and of 1 by the"),
        (f"../train/{GOOD} 0", ValueError, "must be the path of an image in"),
        (f"/{GOOD} 0", ValueError, "must be the path of an image in"),
        (f"{OTHER} 0", ValueError, "lists .*_3.jpg again, after .*, line 2"),
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path, line, error, message):
    layouts_standard.write_msmt17(tmp_path)
    file = tmp_path / "MSMT17_V1" / "list_train.txt"
    lines = file.read_text().splitlines()
    # Empty lines and another system's ends of lines are no fault.
    file.write_text("\r\n".join([*lines[:2], "", line, *lines[3:]]))
    with pytest.raises(error, match=rf"list_train\.txt, line 4.*{message}"):
        read_records("msmt17", tmp_path)


def test_listed_images_that_are_missing_are_named_with_list_and_line(tmp_path):
    layouts_standard.write_msmt17(tmp_path)
    folder = tmp_path / "MSMT17_V1"
    (folder / "test/0001/0001_014_14_0303morning_0008_14.jpg").unlink()
    with pytest.raises(
        FileNotFoundError,
        match=r"1 of 28 listed images are missing: .*/test/0001/0001_014_14_0303mor"
        r"ning_0008_14\.jpg \(.*list_query\.txt, line 4\)",
    ):
        read_records("msmt17", tmp_path)
    (folder / "list_query.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"list_query\.txt lists nothing"):
        read_records("msmt17", tmp_path)
    (folder / "list_query.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"list_query\.txt must be text in UTF-8"):
        read_records("msmt17", tmp_path)


def test_listed_links_count_and_folders_do_not(tmp_path):
    layouts_standard.write_msmt17(tmp_path)
    image = tmp_path / "MSMT17_V1/train/0000/0000_002_01_0303morning_0008_2.jpg"
    elsewhere = image.rename(tmp_path / "elsewhere.jpg")
    image.symlink_to(elsewhere)
    assert read_records("msmt17", tmp_path)["train"][0].path == image
    elsewhere.unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 28 .*_2\.jpg \(.*line 1\)"):
        read_records("msmt17", tmp_path)
    image.unlink()
    image.mkdir()
    with pytest.raises(ValueError, match=r"not regular files: .*_2\.jpg \(a folder\)"):
        read_records("msmt17", tmp_path)
