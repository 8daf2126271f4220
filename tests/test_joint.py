"""Several datasets: how they are joined, read, drawn from, and refused."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny
from joint_config import joint_config
from ml_collections import ConfigDict

from mbnet_jax.config import load_config
from mbnet_jax.data import DATASETS, DatasetSpec, Identifiers, Record, load_dataset
from mbnet_jax.data.datasets.synthetic import read_synthetic
from mbnet_jax.data.joint import join
from mbnet_jax.data.loader import load_example
from mbnet_jax.data.parts import check_parts, parts_of, prepared_folder
from mbnet_jax.data.splits import make_split
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.parsing import labels
from mbnet_jax.runs.run_folder import digest_labels
from mbnet_jax.synthetic import SyntheticOptions
from mbnet_jax.synthetic.cameras.camera import make_camera
from mbnet_jax.synthetic.clothes.wardrobe import make_wardrobe
from mbnet_jax.training.check import check_run


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The config and the dataset of two worlds."""
    config = joint_config(tmp_path_factory.mktemp("two"))
    return config, load_dataset(config)


def split_of(*rows):
    """A split of (person, camera, outfit, tracklet), all as numbered in its dataset."""
    records = [
        Record(
            Path(f"/x/{i}.jpg"),
            pid,
            camera,
            clothes,
            None,
            Identifiers("P", "C"),
            track,
        )
        for i, (pid, camera, clothes, track) in enumerate(rows)
    ]
    source = [{"name": b"%d.jpg" % i, "image": b""} for i in range(len(rows))]
    return make_split(records, source, Path("/x"))


def test_labels_are_numbered_by_dataset_and_unknown_ones_stay_unknown():
    first = split_of((0, 0, 0, 0), (1, 5, 1, 1), (1, 0, -1, 1))
    plain = split_of((0, -1, -1, -1), (1, -1, -1, -1))
    third = split_of((0, 0, 0, -1), (0, 1, 1, -1))
    joined = join({"x": first, "y": plain, "z": third}, ("lip", "atr", "lip"))
    assert joined.pid.tolist() == [0, 1, 1, 2, 3, 4, 4]
    assert joined.camera.tolist() == [0, 5, 0, -1, -1, 6, 7]
    assert joined.clothes.tolist() == [0, 1, -1, -1, -1, 2, 3]
    assert joined.tracklet.tolist() == [0, 1, 1, -1, -1, -1, -1]
    assert {joined.pid.dtype, joined.clothes.dtype} == {np.dtype(np.int32)}
    expected = [
        f"{part}/{i}.jpg"
        for part, n in (("x", 3), ("y", 2), ("z", 2))
        for i in range(n)
    ]
    assert list(joined.names) == expected
    found = [joined.example(index) for index in range(7)]
    assert [example["name"].decode() for example in found] == expected
    sets = ["lip"] * 3 + ["atr"] * 2 + ["lip"] * 2
    assert [example["parsing_labels"] for example in found] == sets
    assert joined.shown(1) == ("x P", "x C", "x 1")
    assert joined.shown(3) == ("y P", "unknown", "unknown")


def test_a_subset_of_a_part_is_joined_in_its_order():
    part = split_of(*[(i, 0, i, -1) for i in range(4)])
    part = part.subset(np.array([3, 1])).relabelled()
    joined = join({"x": part, "y": part}, ("lip", "lip"))
    assert joined.pid.tolist() == [1, 0, 3, 2]
    names = [joined.example(index)["name"] for index in range(4)]
    assert names == [b"x/3.jpg", b"x/1.jpg", b"y/3.jpg", b"y/1.jpg"]


def test_two_worlds_are_loaded_together_and_tested_apart(two):
    _, dataset = two
    assert len(dataset.train) == 48 + 72 and not dataset.test
    assert len(np.unique(dataset.train.pid)) == 12
    assert len(np.unique(dataset.train.camera)) == 5
    assert len(np.unique(dataset.train.clothes)) == 24
    sizes = {name: len(v.images) for name, v in dataset.validations.items()}
    assert sizes == {"a": 16, "b": 24}
    for part in dataset.parts.values():
        assert {*part.test} == {"query", "gallery"} and len(part.protocols) == 3
    b = dataclasses.replace(dataset.parts["b"], validation=None)
    less = dataclasses.replace(dataset, parts=dataset.parts | {"b": b})
    assert digest_labels(less) != digest_labels(dataset)
    assert {*less.validations} == {"a"}


def test_each_part_has_its_own_maps_and_label_set(tmp_path):
    for name in ("x", "y"):
        tiny.write_folder(tmp_path / name, identities=6, test_from=4)
    lip = tmp_path / "lip"
    for split in ("train", "query", "gallery"):
        (lip / split).mkdir(parents=True)
        for image in (tmp_path / "y" / split).iterdir():
            pixels = np.full((tiny.HEIGHT, tiny.WIDTH), 13, np.uint8)  # a face
            data = tiny.encoded(pixels, "PNG")
            (lip / split / f"{image.stem}.png").write_bytes(data)
    parts = {
        "x": {"name": "folder", "root": str(tmp_path / "x")},
        "y": {"name": "folder", "root": str(tmp_path / "y")}
        | {"parsing_dir": str(lip), "parsing_labels": "lip"},
    }
    config = joint_config(tmp_path, validation="none")
    with config.ignore_type(), config.unlocked():
        config.data.name, config.data.parts = ("x", "y"), ConfigDict(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            DATASETS, "folder", DatasetSpec(name="folder", read=read_synthetic)
        )
        dataset = load_dataset(config)
        rows = [load_example(dataset.train, i, config.data) for i in (0, 32)]
        damaged = dataclasses.replace(dataset.train, positions=np.arange(64)[::-1])
        message = f"delete {tmp_path / 'y' / 'prepared' / 'folder'} to"
        with pytest.raises(ValueError, match=message):
            load_example(damaged, 40, config.data)
    np.testing.assert_array_equal(rows[0]["parsing"], tiny.person())
    assert (rows[1]["parsing"] == labels.HEAD).all()
    assert not dataset.validations


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": (1.0,)}, r"data\.shares=\(1\.0,\) must have one share for each"),
        ({"shares": (1.0, 9.0), "name": ("b", "a")}, None),
        ({"name": ("a", "c")}, r"data\.parts\.b is unknown"),
        ({"parts": {"b": {"synthetic": {"seed": 0, "cameras": 2}}}}, "same images"),
        ({"parts": {"b": {"name": "mars"}}}, "'mars' is not a dataset here"),
        ({"parts": {"b": {"name": "ltcc"}}}, r"data\.parts\.b\.synthetic is of gen"),
    ],
)
def test_parts_and_shares_that_do_not_fit_are_refused(changes, message):
    config = joint_config("data")
    with config.ignore_type(), config.unlocked():
        config.data.update(changes)
    if message is None:
        check_parts(config.data)
        return
    with pytest.raises(ValueError, match=message):
        check_run(config, make_mesh(jax.devices()[:1]), training=True)


def test_people_who_are_too_few_are_refused_before_images_are_made():
    mesh = make_mesh(jax.devices()[:1])
    config = joint_config("data", shares=(1.0, 3.0))
    check_run(config, mesh, training=True)
    config.train.batch_size = 24  # 12 persons: all, without shares
    with pytest.raises(ValueError, match=r"dataset 2 of data\.name 9 persons"):
        check_run(config, mesh, training=True)
    config = joint_config("data")
    config.train.batch_size = 24
    check_run(config, mesh, training=True)
    config.train.batch_size = 32
    with pytest.raises(ValueError, match=r"needs 16 identities .* only 12"):
        check_run(config, mesh, training=True)


def test_a_part_that_names_a_folder_badly_is_refused():
    config = joint_config("data")
    with config.ignore_type(), config.unlocked():
        config.data.name = ("a/b", "b")
        config.data.parts = ConfigDict(
            {"a/b": {"name": "synthetic"}} | {"b": config.data.parts.b.to_dict()}
        )
    with pytest.raises(ValueError, match=r"'a/b'; of several datasets, each needs"):
        check_parts(config.data)


def test_a_prepared_copy_is_found_by_the_name_of_an_image():
    config = joint_config("data")
    config.data.parts.b.root = "other"
    found = {prepared_folder(config.data, f"{part}/x/1.jpg") for part in ("a", "b")}
    assert found == {Path("data/prepared/synthetic"), Path("other/prepared/synthetic")}


def test_fields_of_a_dataset_are_given_on_the_command_line():
    config = load_config(
        "ltcc",
        [
            "data.name=ltcc,prcc",
            "data.shares=1,3",
            "data.parts.prcc.root=/data/prcc",
            "data.parts.prcc.parsing_labels=lip",
        ],
    )
    parts = parts_of(config.data)
    assert [part.name for part in parts.values()] == ["ltcc", "prcc"]
    assert [part.root for part in parts.values()] == ["data", "/data/prcc"]
    assert [part.parsing_labels for part in parts.values()] == ["canonical", "lip"]
    config = load_config("synthetic_two", ["data.parts.a.synthetic.seed=7"])
    a, b = parts_of(config.data).values()
    assert (a.synthetic.seed, a.synthetic.cameras) == (7, 4)
    assert (b.synthetic.seed, b.synthetic.cameras) == (1, 4)
    for wrong in ("data.parts.prcc.rot=x", "data.synthetic.seed=3"):
        with pytest.raises(ValueError, match="is unknown; "):
            load_config("prcc", [wrong])
    with pytest.raises(
        ValueError, match=r"data\.parts\.b\.synthetic\.seed='x' must be"
    ):
        load_config("synthetic_two", ["data.parts.b.synthetic.seed=x"])


def test_two_worlds_share_no_camera_and_no_colour():
    config = load_config("synthetic_two")
    a, b = (
        SyntheticOptions(**part.synthetic) for part in parts_of(config.data).values()
    )
    assert b == SyntheticOptions(**load_config("synthetic_b").data.synthetic)
    for number in range(1, 5):
        one, other = make_camera(a, number), make_camera(b, number)
        assert one.height != other.height and (one.wall != other.wall).any()
    one, other = make_wardrobe(a), make_wardrobe(b)
    for kind in ("tops", "bottoms", "shoes"):
        for x in getattr(one, kind):
            gaps = [np.abs(x.colours - y.colours).max() for y in getattr(other, kind)]
            assert min(gaps) > 0.02
    # The cuts are those of every seed.
    assert [top.kind for top in one.tops] == [top.kind for top in other.tops]
