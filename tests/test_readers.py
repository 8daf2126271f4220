"""Readers on small copies of the real datasets, against lists written by hand."""

import re
from pathlib import Path

import layouts
import pytest

from mbnet_jax.data import DATASETS, DatasetSpec, read_records, register
from mbnet_jax.data.datasets.reading import Found, list_images, number


def rows(folder, records):
    """Records as (name below `folder`, pid, camera, clothes)."""
    return [
        (r.path.relative_to(folder).as_posix(), r.pid, r.camera, r.clothes)
        for r in records
    ]


def test_ltcc(tmp_path):
    records = read_records("ltcc", layouts.write_ltcc(tmp_path))
    assert list(records) == ["train", "query", "gallery"]
    folder = tmp_path / "LTCC_ReID"
    assert rows(folder, records["train"]) == [
        ("train/002_1_c12_015812.png", 0, 11, 0),
        ("train/002_1_c1_015801.png", 0, 0, 0),
        ("train/002_3_c12_015812.png", 0, 11, 1),
        ("train/002_3_c1_015801.png", 0, 0, 1),
        ("train/005_1_c12_015812.png", 1, 11, 2),
        ("train/005_1_c1_015801.png", 1, 0, 2),
        ("train/005_3_c12_015812.png", 1, 11, 3),
        ("train/005_3_c1_015801.png", 1, 0, 3),
        ("train/030_1_c12_015812.png", 2, 11, 4),
        ("train/030_1_c1_015801.png", 2, 0, 4),
        ("train/030_3_c12_015812.png", 2, 11, 5),
        ("train/030_3_c1_015801.png", 2, 0, 5),
        ("train/104_1_c12_015812.png", 3, 11, 6),
        ("train/104_1_c1_015801.png", 3, 0, 6),
        ("train/104_3_c12_015812.png", 3, 11, 7),
        ("train/104_3_c1_015801.png", 3, 0, 7),
    ]
    assert rows(folder, records["query"]) == [
        ("query/007_1_c1_099901.png", 7, 0, 0),
        ("query/007_3_c1_099901.png", 7, 0, 1),
        ("query/011_1_c1_099901.png", 11, 0, 2),
        ("query/011_3_c1_099901.png", 11, 0, 3),
    ]
    assert rows(folder, records["gallery"]) == [
        ("test/007_1_c12_015812.png", 7, 11, 0),
        ("test/007_1_c1_015801.png", 7, 0, 0),
        ("test/007_3_c12_015812.png", 7, 11, 1),
        ("test/007_3_c1_015801.png", 7, 0, 1),
        ("test/011_1_c12_015812.png", 11, 11, 2),
        ("test/011_1_c1_015801.png", 11, 0, 2),
        ("test/011_3_c12_015812.png", 11, 11, 3),
        ("test/011_3_c1_015801.png", 11, 0, 3),
    ]
    assert all(r.parsing_path is None for r in records["train"])


def test_prcc(tmp_path):
    records = read_records("prcc", layouts.write_prcc(tmp_path))
    folder = tmp_path / "prcc" / "rgb"
    assert sorted(records) == [
        "gallery",
        "query_changing",
        "query_same",
        "train",
        "val",
    ]
    # C's outfit sorts after the one that A and B share.
    assert rows(folder, records["train"])[:7] == [
        ("train/001/A_cropped_rgb001.jpg", 0, 0, 0),
        ("train/001/A_cropped_rgb002.jpg", 0, 0, 0),
        ("train/001/B_cropped_rgb001.jpg", 0, 1, 0),
        ("train/001/B_cropped_rgb002.jpg", 0, 1, 0),
        ("train/001/C_cropped_rgb001.jpg", 0, 2, 1),
        ("train/001/C_cropped_rgb002.jpg", 0, 2, 1),
        ("train/002/A_cropped_rgb001.jpg", 1, 0, 2),
    ]
    assert len(records["train"]) == 24 and records["train"][-1].pid == 3
    assert rows(folder, records["val"]) == [
        (f"val/{person:03d}/{letter}_cropped_rgb003.jpg", person, camera, clothes)
        for person, letter, camera, clothes in (
            # Outfits are numbered over all that is not training: 1, 2, 3, 90, ...
            *((1, "A", 0, 0), (1, "B", 1, 0), (1, "C", 2, 1)),
            *((2, "A", 0, 2), (2, "B", 1, 2), (2, "C", 2, 3)),
            *((90, "A", 0, 6), (90, "B", 1, 6), (90, "C", 2, 7)),
            *((165, "A", 0, 10), (165, "B", 1, 10), (165, "C", 2, 11)),
        )
    ]
    for split, letter, camera, clothes in (
        ("gallery", "A", 0, (4, 8)),
        ("query_same", "B", 1, (4, 8)),
        ("query_changing", "C", 2, (5, 9)),
    ):
        assert rows(folder, records[split]) == [
            (f"test/{letter}/003/cropped_rgb001.jpg", 3, camera, clothes[0]),
            (f"test/{letter}/003/cropped_rgb002.jpg", 3, camera, clothes[0]),
            (f"test/{letter}/003/cropped_rgb003.jpg", 3, camera, clothes[0]),
            (f"test/{letter}/094/cropped_rgb001.jpg", 94, camera, clothes[1]),
            (f"test/{letter}/094/cropped_rgb002.jpg", 94, camera, clothes[1]),
            (f"test/{letter}/094/cropped_rgb003.jpg", 94, camera, clothes[1]),
        ]


def test_vc_clothes(tmp_path):
    records = read_records("vc_clothes", layouts.write_vc_clothes(tmp_path))
    folder = tmp_path / "VC-Clothes"
    assert list(records) == ["train", "query", "gallery"]
    assert rows(folder, records["train"])[:9] == [
        ("train/0001-01-02-01.jpg", 0, 0, 1),
        ("train/0001-01-02-10.jpg", 0, 0, 1),
        ("train/0001-02-01-01.jpg", 0, 1, 0),
        ("train/0001-02-01-10.jpg", 0, 1, 0),
        ("train/0001-03-01-01.jpg", 0, 2, 0),
        ("train/0001-03-01-10.jpg", 0, 2, 0),
        ("train/0001-04-02-01.jpg", 0, 3, 1),
        ("train/0001-04-02-10.jpg", 0, 3, 1),
        ("train/0004-01-02-01.jpg", 1, 0, 3),
    ]
    assert len(records["train"]) == 32
    for split, shot in (("query", "05"), ("gallery", "01")):
        assert rows(folder, records[split]) == [
            (f"{split}/0002-01-02-{shot}.jpg", 2, 0, 1),
            (f"{split}/0002-02-01-{shot}.jpg", 2, 1, 0),
            (f"{split}/0002-03-01-{shot}.jpg", 2, 2, 0),
            (f"{split}/0002-04-02-{shot}.jpg", 2, 3, 1),
            (f"{split}/0511-01-02-{shot}.jpg", 511, 0, 3),
            (f"{split}/0511-02-01-{shot}.jpg", 511, 1, 2),
            (f"{split}/0511-03-01-{shot}.jpg", 511, 2, 2),
            (f"{split}/0511-04-02-{shot}.jpg", 511, 3, 3),
        ]


def test_a_missing_root_or_split_is_named_with_what_is_there_and_the_source(tmp_path):
    (tmp_path / "ltcc").mkdir()
    with pytest.raises(
        FileNotFoundError,
        match=r"LTCC_ReID/train, but .*LTCC_ReID is missing; .* holds ltcc\. LTCC \(Q.*"
        r" comes from https://naiq\.g.*data\.root is the folder that holds LTCC_ReID",
    ):
        read_records("ltcc", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none is missing; .* holds ltcc\."):
        read_records("prcc", tmp_path / "none")
    layouts.write_image(tmp_path / "VC-Clothes" / "train" / "0001-01-01-01.jpg", 1)
    with pytest.raises(FileNotFoundError, match=r"query is missing; .* holds train\."):
        read_records("vc_clothes", tmp_path)


def test_odd_names_are_refused_and_listed(tmp_path):
    root = layouts.write_prcc(tmp_path)
    for name in ("D_cropped_rgb001.jpg", "copy of A.JPG"):
        layouts.write_image(root / "prcc" / "rgb" / "train" / "001" / name, 1)
    with pytest.raises(
        ValueError,
        match=r"2 of 26 .*: 001/D_cropped_rgb001\.jpg, 001/copy of A\.JPG",
    ):
        read_records("prcc", root)


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    with pytest.raises(FileNotFoundError, match=r"holds no image; .* 1\.jpg$"):
        list_images(tmp_path, r".*\.jpg", "1.jpg")


def test_a_person_in_training_and_test_is_refused(tmp_path):
    root = layouts.write_vc_clothes(tmp_path)
    layouts.write_image(root / "VC-Clothes" / "gallery" / "0300-01-01-01.jpg", 1)
    with pytest.raises(ValueError, match=r"1 person is both .*: 0300 \(.*/0300-01"):
        read_records("vc_clothes", root)


def test_parsing_maps_are_in_a_mirrored_tree(tmp_path):
    root = layouts.write_prcc(tmp_path / "data")
    maps = layouts.write_parsing(root, tmp_path / "maps")
    records = read_records("prcc", root, maps)
    assert records["gallery"][0].parsing_path == (
        maps / "prcc" / "rgb" / "test" / "A" / "003" / "cropped_rgb001.png"
    )
    for record in records["val"][:7]:
        (maps / record.path.relative_to(root)).with_suffix(".png").unlink()
    with pytest.raises(
        FileNotFoundError,
        match=r"(?s)7 of 54 parsing maps .*rgb003\.png.* and 2 more.*mbnet-parse",
    ):
        read_records("prcc", root, maps)


def read_toy(folder):
    return number(
        {
            split: [
                Found(path, int(m["person"]), int(m["camera"]), m["outfit"])
                for path, m in list_images(
                    folder / split,
                    r"(?P<person>\d+)(?P<outfit>[a-z])_(?P<camera>\d)\.png",
                    "7a_0.png",
                )
            ]
            for split in ("train", "query", "gallery")
        }
    )


def test_a_dataset_is_registered_from_outside(tmp_path, request):
    toy = DatasetSpec(name="toy", read=read_toy, folder="Toy", source="afar")
    with pytest.raises(ValueError, match="'toy' is not a dataset here; known: synth"):
        read_records("toy", tmp_path)
    register(toy)
    request.addfinalizer(lambda: DATASETS.pop("toy"))
    with pytest.raises(
        FileNotFoundError,
        match=r"holds nothing\. toy comes from afar; data\.root .* that holds Toy",
    ):
        read_records("toy", tmp_path)
    for name in ("train/7a_0", "train/9b_1", "query/3a_0", "gallery/3a_1"):
        layouts.write_image(tmp_path / "Toy" / f"{name}.png", 1)
    records = read_records("toy", tmp_path)
    assert rows(
        tmp_path / "Toy", [row for split in records.values() for row in split]
    ) == [
        ("train/7a_0.png", 0, 0, 0),
        ("train/9b_1.png", 1, 1, 1),
        ("query/3a_0.png", 3, 0, 0),
        ("gallery/3a_1.png", 3, 1, 0),
    ]
    (tmp_path / "Toy" / "query" / "3a_0.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"no image; .* 7a_0\.png\. toy comes"):
        read_records("toy", tmp_path)


def test_documentation_states_each_datasets_source_and_counts():
    docs = Path(__file__).parent.parent / "docs"
    pages = "".join(page.read_text() for page in sorted(docs.glob("datasets*.md")))
    published = [spec for spec in DATASETS.values() if spec.citation]
    assert {"ltcc", "prcc", "vc_clothes"} < {spec.name for spec in published}
    for spec in published:
        title, _, citation = spec.citation.removesuffix(")").partition(" (")
        heading = rf"\n## (.* and )?{re.escape(title)}( and .*)?\n"
        section = re.split("\n## ", pages[re.search(heading, pages).start() :])[1]
        assert f"\n{citation}" in section and spec.source in section
        assert f"{spec.folder}/" in section
        counts = [spec.counts, *spec.variant_counts.values()]
        for images, persons in [each for one in counts for each in one.values()]:
            images = ".*" if images is None else f"{images:,}"
            persons = ".*" if persons is None else f"(the same )?{persons:,}"
            assert re.search(rf"\| {images} \| {persons} \|", section), spec.name
