"""CCVID and MEVID on small copies, against lists written by hand."""

import os
import time
from collections import Counter
from pathlib import Path

import layouts_video
import pytest

from mbnet_jax.data import DATASETS, read_records
from mbnet_jax.data.checks import count_warnings
from mbnet_jax.data.datasets.videos import images_in


def tracklets(folder, records):
    """Each as (its first frame, frames, pid, camera, clothes), in their order."""
    counts = Counter(r.tracklet for r in records)
    first = {}
    for r in records:
        first.setdefault(r.tracklet, r)
    return [
        (r.path.relative_to(folder).as_posix(), counts[t], r.pid, r.camera, r.clothes)
        for t, r in first.items()
    ]


def test_ccvid(tmp_path):
    records = read_records("ccvid", layouts_video.write_ccvid(tmp_path))
    folder = tmp_path / "CCVID"
    assert list(records) == ["train", "query", "gallery"]
    assert tracklets(folder, records["train"]) == [
        ("session1/003_01/00001.jpg", 3, 0, 0, 0),
        ("session2/003_12/00001.jpg", 2, 0, 11, 1),
        ("session3/003_01/00001.jpg", 2, 0, 12, 2),
        ("session1/010_02/00001.jpg", 2, 1, 1, 3),
        ("session1/010_03/00001.jpg", 2, 1, 2, 3),
        ("session2/020_01/00001.jpg", 2, 2, 0, 4),
        ("session2/020_02/00001.jpg", 2, 2, 1, 5),
        ("session1/101_05/00001.jpg", 2, 3, 4, 6),
        ("session3/101_05/00001.jpg", 2, 3, 16, 6),
    ]
    assert tracklets(folder, records["query"]) == [
        ("session1/001_01/00001.jpg", 3, 1, 0, 0),
        ("session1/002_01/00001.jpg", 1, 2, 0, 2),
    ]
    assert tracklets(folder, records["gallery"]) == [
        ("session3/001_01/00001.jpg", 2, 1, 12, 1),
        ("session2/001_03/00001.jpg", 5, 1, 2, 0),
        ("session2/002_07/00001.jpg", 2, 2, 6, 2),
        ("session3/002_12/00001.jpg", 4, 2, 23, 3),
    ]
    query = records["query"]
    assert [r.path.name for r in query[:3]] == ["00001.jpg", "00002.jpg", "00003.jpg"]
    assert query[0].own == ("001", "1", "u0_l0_s0_c0_a0")
    # Numbered over query and gallery together.
    assert len({r.tracklet for s in ("query", "gallery") for r in records[s]}) == 6


def change(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\t001\t", " 001 ", r"query\.txt, line 1 is 'session1/001_01 001 .*expected"),
        ("\tu0_l0_s0_c0_a0\n", "\n", r"query\.txt, line 1 is 'session1/001_01.*expec"),
        ("session1/001", "session4/001", r"query\.txt, line 1 is 'session4"),
        ("\t001\t", "\t002\t", r"line 1: the folder session1/001_01 must be of pers"),
        ("/001_01", "/001_13", r"line 1: the folder session1/001_13 must .* 12 walks"),
        ("/002_01\t002", "/001_01\t001", r"line 2 lists session1/001_01 again, after"),
        ("/002_01", "/002_04", r"line 2: there is no folder .*session1/002_04; unpack"),
    ],
)
def test_wrong_lines_of_ccvid_are_named(tmp_path, old, new, message):
    layouts_video.write_ccvid(tmp_path)
    change(tmp_path / "CCVID" / "query.txt", old, new)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_records("ccvid", tmp_path)


def test_what_is_wrong_in_a_folder_of_frames_is_named(tmp_path):
    layouts_video.write_ccvid(tmp_path)
    folder = tmp_path / "CCVID" / "session1" / "002_01"
    (folder / "copy of 1.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"002_01: .* found copy of 1\.jpg; move"):
        read_records("ccvid", tmp_path)
    (folder / "copy of 1.jpg").unlink()
    os.mkfifo(folder / "00002.jpg")
    with pytest.raises(ValueError, match=r"00002\.jpg \(a named pipe\)"):
        read_records("ccvid", tmp_path)
    (folder / "00002.jpg").unlink()
    (folder / "00001.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"query\.txt, line 2: .* no image"):
        read_records("ccvid", tmp_path)
    (tmp_path / "CCVID" / "query.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"query\.txt.* CCVID \(Gu et al"):
        read_records("ccvid", tmp_path)


def test_a_folder_is_asked_once(tmp_path, monkeypatch):
    """100,000 frames take 1.2 seconds; a stat of each would double that."""
    frames = 20_000
    for number in range(frames):
        (tmp_path / f"{number:05d}.jpg").touch()
    monkeypatch.setattr(os, "stat", None)
    start = time.process_time()
    assert len(images_in(tmp_path, "here")) == frames
    assert time.process_time() - start < 0.4  # 0.03 seconds


@pytest.mark.parametrize(
    ("lists", "images"),
    [("", ""), ("annotation/mevid-v1-annotation-data", "bbox_{}")],
)
def test_mevid_wherever_the_archives_put_it(tmp_path, lists, images):
    layouts_video.write_mevid(tmp_path, lists, images)
    records = read_records("mevid", tmp_path)
    folder = tmp_path / "mevid"
    train, test = (
        str(Path(images.format(side)) / f"bbox_{side}") for side in ("train", "test")
    )
    assert list(records) == ["train", "query", "gallery"]
    assert tracklets(folder, records["train"]) == [
        (f"{train}/0103/0103O020C424T000F00000.jpg", 3, 1, 423, 1),
        (f"{train}/0103/0103O020C330T000F00000.jpg", 2, 1, 329, 1),
        (f"{train}/0103/0103O021C424T000F00000.jpg", 2, 1, 423, 2),
        (f"{train}/0104/0104O001C505T007F00000.jpg", 2, 2, 504, 3),
        (f"{train}/0104/0104O001C505T008F00000.jpg", 2, 2, 504, 3),
        (f"{train}/0007/0007O002C340T000F00000.jpg", 2, 0, 339, 0),
        (f"{train}/0250/0250O002C340T000F00000.jpg", 2, 3, 339, 4),
    ]
    assert tracklets(folder, records["query"]) == [
        (f"{test}/0201/0201O003C330T004F00000.jpg", 3, 201, 329, 0),
        (f"{test}/0202/0202O000C330T000F00000.jpg", 1, 202, 329, 2),
    ]
    assert tracklets(folder, records["gallery"]) == [
        (f"{test}/0201/0201O003C505T000F00000.jpg", 2, 201, 504, 0),
        (f"{test}/0202/0202O001C336T000F00000.jpg", 2, 202, 335, 3),
        (f"{test}/0201/0201O004C509T001F00000.jpg", 4, 201, 508, 1),
        (f"{test}/0202/0202O000C509T001F00000.jpg", 2, 202, 508, 2),
    ]
    # The last row belongs to the track.
    assert [r.path.name[-9:] for r in records["train"][:3]] == [
        "00000.jpg",
        "00010.jpg",
        "00020.jpg",
    ]
    assert records["query"][0].own == ("0201", "330", "3")


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("query_IDX.txt", "1.0", "7.0", r"query_IDX\.txt, line 2: row 7 .* 0 to 6, "),
        ("query_IDX.txt", "1.0", "-1.0", r"query_IDX\.txt, line 2: row -1 must be"),
        ("query_IDX.txt", "1.0", "1.5", r"query_IDX\.txt, line 2 is '1\.5.*whole num"),
        ("query_IDX.txt", "1.0", "0.0", r"line 2: row 0 is in .*query_IDX.*line 1 alr"),
        ("query_IDX.txt", "1.0", "nan", r"query_IDX\.txt, line 2 is 'nan"),
        (
            "track_test_info.txt",
            "2.02",
            "2.03",
            r"line 2: there is no folder .*0203; unpack",
        ),
        (
            "track_test_info.txt",
            "3.3",
            "3.4",
            r"line 1: .* begin with 0201O003C340T, af",
        ),
        (
            "test_name.txt",
            "O003C",
            "O004C",
            r"test_name\.txt, line 1: .*O003.* line 1;",
        ),
        ("test_name.txt", "0201O003C3", "nothing.jpg\n0201O003C3", r"line 1: 'nothing"),
        (
            "test_name.txt",
            "F00010",
            "F00011",
            r"test_name\.txt, line 2: there is no .*1",
        ),
    ],
)
def test_wrong_lines_of_mevid_are_named(tmp_path, file, old, new, message):
    layouts_video.write_mevid(tmp_path)
    change(tmp_path / "mevid" / file, old, new)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_records("mevid", tmp_path)


def test_rows_past_the_names_and_lines_of_four_numbers_are_named(tmp_path):
    layouts_video.write_mevid(tmp_path)
    info = tmp_path / "mevid" / "track_train_info.txt"
    text = info.read_text()
    info.write_text(text + "14 15 250 2 340\n")
    with pytest.raises(ValueError, match=r"line 9: rows 14 to 15 must be .* to 14, "):
        read_records("mevid", tmp_path)
    info.write_text(text + "3 4 250 2\n")
    with pytest.raises(ValueError, match=r"track_train_info\.txt, line 9 is '3 4 250"):
        read_records("mevid", tmp_path)


def test_mevid_is_found_under_its_names_and_without_a_folder(tmp_path):
    folder = layouts_video.write_mevid(tmp_path) / "mevid"
    known = tracklets(folder, read_records("mevid", tmp_path)["gallery"])
    for name in ("MEVID", "other"):
        folder = folder.rename(tmp_path / name)
        root = tmp_path if name == "MEVID" else folder
        assert tracklets(folder, read_records("mevid", root)["gallery"]) == known


def test_what_mevid_lacks_or_has_twice_is_named(tmp_path):
    layouts_video.write_mevid(tmp_path)
    folder = tmp_path / "mevid"
    (folder / "again").mkdir()
    (folder / "again" / "query_IDX.txt").write_text("0\n")
    with pytest.raises(ValueError, match=r"query_IDX\.txt is there 2 times: .*again"):
        read_records("mevid", tmp_path)
    (folder / "again" / "query_IDX.txt").unlink()
    (folder / "train_name.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"for train_name\.txt in .* MEVID \(D"):
        read_records("mevid", tmp_path)


def test_counts_are_of_frames_and_of_tracklets(tmp_path):
    records = read_records("ccvid", layouts_video.write_ccvid(tmp_path))
    lines = count_warnings(DATASETS["ccvid"], records)
    assert "ccvid gallery: 13 images of 2 persons here, 112421 of 151 as" in lines[2]
    assert "ccvid train: 9 tracklets here, 948 as published" in lines[3]
    assert len(lines) == 6
    records = read_records("mevid", layouts_video.write_mevid(tmp_path / "other"))
    lines = count_warnings(DATASETS["mevid"], records)
    assert [line.split(";")[0] for line in lines] == [
        "mevid train: 7 tracklets here, 6338 as published",
        "mevid query: 2 tracklets here, 316 as published",
        "mevid gallery: 4 tracklets here, 1438 as published",
    ]
