"""Checks of a dataset before training, its preparation and its validation images."""

import io

import layouts
import numpy as np
import pytest
import tiny
from PIL import Image

from mbnet_jax.data import DATASETS, DatasetSpec, Record, load_dataset, read_records
from mbnet_jax.data.builder import ReIdBuilder, prepare
from mbnet_jax.data.checks import check_files, count_warnings
from mbnet_jax.data.datasets import attach_parsing
from mbnet_jax.data.loader import decode
from mbnet_jax.data.splits import hold_out_identities, make_split, make_validation


def test_a_warning_about_other_counts_has_both_numbers(tmp_path):
    records = read_records("vc_clothes", layouts.write_vc_clothes(tmp_path))
    spec = DATASETS["vc_clothes"]
    assert count_warnings(spec, records) == [
        "vc_clothes train: 32 images of 4 persons here, 9449 of 256 as published; "
        "figures will not compare",
        "vc_clothes query: 8 images of 2 persons here, 1020 of 256 as published; "
        "figures will not compare",
        "vc_clothes gallery: 8 images of 2 persons here, 8591 of 256 as published; "
        "figures will not compare",
    ]
    assert count_warnings(DATASETS["manifest"], records) == []
    published = {
        split: [records["train"][0]._replace(pid=i % persons) for i in range(images)]
        for split, (images, persons) in spec.counts.items()
    }
    assert count_warnings(spec, published) == []


def break_files(folder) -> list[str]:
    """Breaks four files in four ways; returns their names."""
    names = sorted(folder.glob("0*.png"))[:4]
    names[0].write_bytes(b"")
    names[1].write_bytes(b"<html>not found</html>")
    whole = names[2].read_bytes()
    names[2].write_bytes(whole[: len(whole) // 2])
    names[3].write_bytes(whole[:40])
    return [name.name for name in names]


def test_all_undecodable_files_are_listed(tmp_path):
    root = layouts.write_ltcc(tmp_path / "data")
    maps = layouts.write_parsing(root, tmp_path / "maps")
    records = read_records("ltcc", root, maps)
    check_files(records)
    bad = break_files(root / "LTCC_ReID" / "train")
    records["gallery"][0].parsing_path.write_bytes(b"")
    with pytest.raises(ValueError, match="5 of 56 files cannot be used") as caught:
        prepare(records, root, tmp_path / "prepared")
    assert all(name in str(caught.value) for name in bad)
    assert "007_1_c12_015812.png cannot be decoded (it is empty)" in str(caught.value)
    assert "unpack the dataset again" in str(caught.value)


def test_maps_that_do_not_fit_their_images_or_label_set_are_listed(tmp_path):
    root = layouts.write_ltcc(tmp_path / "data")
    records = read_records("ltcc", root, layouts.write_parsing(root, tmp_path / "maps"))
    small, other = (records[split][0].parsing_path for split in ("query", "gallery"))
    with Image.open(small) as picture:
        size = picture.size
        picture.resize((size[0], size[1] // 2)).save(small)
    Image.new("L", size, 7).save(other)
    with pytest.raises(ValueError, match="2 of 56 files cannot be used") as caught:
        prepare(records, root, tmp_path / "prepared", "pascal")
    message = str(caught.value)
    assert f"{small} is {size[0]}x{size[1] // 2} pixels (width x height)" in message
    assert f"{other} has the label 7, but data.parsing_labels='pascal'" in message
    with pytest.raises(ValueError, match="1 of 56 files cannot be used"):
        check_files(records, label_set="canonical")


def test_images_that_would_share_a_map_are_refused(tmp_path):
    root = layouts.write_vc_clothes(tmp_path / "data")
    maps = layouts.write_parsing(root, tmp_path / "maps")
    records = read_records("vc_clothes", root, maps)
    other = records["train"][0].path.with_suffix(".png")
    records["train"].append(records["train"][0]._replace(path=other))
    with pytest.raises(ValueError, match=r"\.png would share the parsing map .*rename"):
        attach_parsing(records, root, maps)


def test_a_truncated_jpeg_is_found(tmp_path):
    root = layouts.write_vc_clothes(tmp_path)
    path = root / "VC-Clothes" / "query" / "0002-01-02-05.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"1 of 48 .*\n.*0002-01-02-05\.jpg .*trunc"):
        check_files(read_records("vc_clothes", root))


def picture(mode: str, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (32, 64)).save(stream, kind, **options)
    return stream.getvalue()


PICTURES = {
    "grey of 16 bits": picture("I;16", "PNG"),
    "1 bit": picture("1", "PNG"),
    "CMYK": picture("CMYK", "JPEG"),
    "animated": picture(
        "RGB", "PNG", save_all=True, append_images=[Image.new("L", (9, 9))]
    ),
    "TIFF I": picture("I", "TIFF"),
    "TIFF F": picture("F", "TIFF"),
    "TIFF LAB": picture("LAB", "TIFF"),
    "cut": picture("RGB", "JPEG")[:-30],
    "text": b"text",
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_check_takes_what_the_loader_decodes(name, tmp_path):
    """As an image, and as a parsing map."""
    path, good = tmp_path / "a.png", picture("L", "PNG")
    path.write_bytes(PICTURES[name])
    (tmp_path / "good.png").write_bytes(good)

    def taken(function, *args) -> bool:
        try:
            function(*args)
        except ValueError as error:
            assert "a.png" in str(error)
            return False
        return True

    as_image = Record(path, 0, 0, 0, None)
    as_map = Record(tmp_path / "good.png", 0, 0, 0, path)
    for record, example in (
        (as_image, {"image": PICTURES[name], "parsing": b""}),
        (as_map, {"image": good, "parsing": PICTURES[name]}),
    ):
        checked = taken(check_files, {"train": [record]})
        example["name"] = b"a.png"
        assert checked == taken(decode, example, (64, 32), "canonical")
    assert taken(check_files, {"train": [as_image]}) == (name in [*PICTURES][:4])


@pytest.mark.parametrize("name", ["ltcc", "prcc"])  # PNG, JPEG
def test_original_bytes_are_stored_and_no_bytes_without_a_map(tmp_path, name):
    root = getattr(layouts, f"write_{name}")(tmp_path / "data")
    records = read_records(name, root)
    sources = prepare(records, root, tmp_path / "prepared")
    for split, rows in records.items():
        examples = make_split(rows, sources[split], root)
        for index, record in enumerate(rows):
            example = examples.example(index)
            assert example["image"] == record.path.read_bytes()
            assert example["parsing"] == b""
            assert example["name"].decode() == examples.names[index]
            labels = tuple(example[k] for k in ("pid", "camera", "clothes"))
            assert labels == record[1:4]


def test_an_interrupted_preparation_starts_over(tmp_path, monkeypatch):
    root = layouts.write_ltcc(tmp_path / "data")
    records = read_records("ltcc", root)
    whole = ReIdBuilder._generate_examples

    def dies(*args):
        yield from list(whole(*args))[:3]
        raise KeyboardInterrupt

    monkeypatch.setattr(ReIdBuilder, "_generate_examples", dies)
    with pytest.raises(KeyboardInterrupt):
        prepare(records, root, tmp_path / "prepared")
    # As after a kill, which leaves files behind.
    (folder,) = (tmp_path / "prepared").glob("*/")
    left_over = folder / "reid" / "incomplete.ABCDEF_2.0.0"
    left_over.mkdir(parents=True)
    (left_over / "reid-train.array_record-00000-of-00001").write_bytes(b"half")
    monkeypatch.setattr(ReIdBuilder, "_generate_examples", whole)
    sources = prepare(records, root, tmp_path / "prepared")
    assert len(sources["train"]) == 16 and not left_over.exists()
    # Once complete, they are neither checked nor written again.
    monkeypatch.setattr(ReIdBuilder, "_generate_examples", dies)
    monkeypatch.setattr("mbnet_jax.data.builder.checked_contents", dies)
    assert prepare(records, root, tmp_path / "prepared")["train"][0]["pid"] == 0


def config_of(root, **data):
    config = tiny.tiny_config(root)
    config.data.update(data)
    # Needs no parsing maps: the fixtures have none.
    config.model.branches = ("global",)
    config.loss.ktm_area = 0.0
    return config


def test_validation_is_held_out_own_or_none(tmp_path, capsys):
    root = layouts.write_prcc(tmp_path)
    own = load_dataset(config_of(root, name="prcc", validation="own"))
    assert "prcc train: 24 images of 4 persons here, 17896" in capsys.readouterr().out
    assert own.protocols == DATASETS["prcc"].protocols
    assert len(own.train) == 24 and len(own.validation.images) == 12
    assert all("/val/" in name for name in own.validation.images.names)
    assert own.validation.rule == "clothes_changing"
    none = load_dataset(config_of(root, name="prcc", validation="none"))
    assert len(none.train) == 24 and none.validation is None
    half = {"name": "prcc", "validation": "held_out", "validation_fraction": 0.5}
    held_out = load_dataset(config_of(root, **half))
    assert len(held_out.train) == len(held_out.validation.images) == 12
    assert sorted(held_out.test) == ["gallery", "query_changing", "query_same"]


def test_validation_is_the_datasets_policy_by_default(tmp_path):
    root = layouts.write_prcc(tmp_path)
    config = config_of(root, name="prcc")
    assert config.data.validation == "default"
    images = load_dataset(config).validation.images
    assert all("/val/" in name for name in images.names)
    config = config_of(tmp_path / "data", name="synthetic", validation_fraction=0.5)
    dataset = load_dataset(config)
    assert DATASETS["synthetic"].validation == "held_out"
    assert len(dataset.train) == len(dataset.validation.images) == 32
    with pytest.raises(ValueError, match="toy has validation='val'; known: held_out"):
        DatasetSpec(name="toy", read=read_records, validation="val")


def test_invalid_validation_is_refused(tmp_path):
    root = layouts.write_ltcc(tmp_path)
    with pytest.raises(ValueError, match="ltcc has no split val; set held_out"):
        load_dataset(config_of(root, name="ltcc", validation="own"))
    known = "data.validation='some' must be one of 'default', 'held_out', 'own', 'none'"
    with pytest.raises(ValueError, match=known):
        load_dataset(config_of(root, name="ltcc", validation="some"))


def test_validation_takes_the_hardest_rule_that_the_labels_allow(tmp_path):
    for columns, rule, queries, gallery in (
        ("path,pid,split,camera,clothes", "clothes_changing", 8, 16),
        ("path,pid,split,camera", "general", 4, 16),
        ("path,pid,split,clothes", "any", 4, 12),
        ("path,pid,split", "any", 2, 14),
    ):
        root = layouts.write_manifest(tmp_path / rule / str(queries), columns)
        records = read_records("manifest", root)["train"]
        train = make_split(records, None, root)
        rest, images = hold_out_identities(train, 0.5, seed=0)
        validation = make_validation(images)
        assert validation.rule == rule
        assert (len(validation.query), len(validation.gallery)) == (queries, gallery)
        assert ("clothes" in rest.known) == ("clothes" in columns)


def test_validation_without_any_match_is_refused(tmp_path):
    records = read_records("manifest", layouts.write_manifest(tmp_path))["train"]
    images = make_split(records, None, tmp_path)
    one_each = images.subset(np.unique(images.pid, return_index=True)[1])
    with pytest.raises(
        ValueError, match=r"no query has a true match .*validation=none"
    ):
        make_validation(one_each)
