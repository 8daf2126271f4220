"""Validation on a dataset's own queries and gallery, and clothes known in part."""

import layouts_clothes as layouts
import numpy as np
import pytest
from embedded import split
from test_checks import config_of

from mbnet_jax.data import DATASETS, load_dataset, read_records
from mbnet_jax.data.datasets.reading import check_records
from mbnet_jax.data.own_validation import own_validation
from mbnet_jax.data.splits import hold_out_identities, make_split


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return layouts.write_deepchange(layouts.write_last(tmp_path_factory.mktemp("data")))


@pytest.mark.parametrize(
    ("name", "rule", "trained", "gallery"),
    [("last", "any", 16, 5), ("deepchange", "same_tracklet_out", 12, 4)],
)
def test_own_queries_meet_the_own_gallery(root, name, rule, trained, gallery):
    assert DATASETS[name].validation == "own"
    dataset = load_dataset(config_of(root, name=name))
    assert len(dataset.train) == trained and sorted(dataset.test) == [
        "gallery",
        "query",
    ]
    validation = dataset.validation
    assert validation.rule == rule
    assert validation.query.tolist() == [0, 1]
    assert validation.gallery.tolist() == [*range(2, 2 + gallery)]
    records = read_records(name, root)
    both = records["val_query"] + records["val_gallery"]
    images = validation.images
    for label in ("pid", "camera", "clothes", "tracklet"):
        expected = [getattr(record, label) for record in both]
        assert getattr(images, label).tolist() == expected
    assert [images.shown(i).person for i in range(len(images))] == [
        r.own.person for r in both
    ]
    for index, record in enumerate(both):
        assert images.names[index].endswith(record.path.name)
        example = images.example(index)
        assert example["name"].decode() == images.names[index]
        assert example["image"] == record.path.read_bytes()
    assert len(images.source) == len(both)


@pytest.mark.parametrize(("policy", "trained"), [("held_out", 8), ("none", 16)])
def test_other_validation_leaves_them_out(root, policy, trained):
    options = {"validation": policy, "validation_fraction": 0.5}
    dataset = load_dataset(config_of(root, name="last", **options))
    assert len(dataset.train) == trained
    assert sorted(dataset.test) == ["gallery", "query"]
    if policy == "held_out":
        assert dataset.validation.rule == "any"
        assert all("/train/" in n for n in dataset.validation.images.names)


def test_own_validation_needs_the_rules_labels_and_a_match():
    query, gallery = split([1], [0], [0]), split([2, 1], [0, 0], [0, 1])
    assert own_validation(query, gallery, "any").gallery.tolist() == [1, 2]
    with pytest.raises(
        ValueError, match=r"no query .* true match .* rule general; set"
    ):
        own_validation(query, gallery, "general")
    unknown = split([2, 1], [0, -1], [0, 1])
    with pytest.raises(ValueError, match=r"rule general, which needs labels of camera"):
        own_validation(query, unknown, "general")
    with pytest.raises(ValueError, match=r"needs labels of tracklet; set held_out"):
        own_validation(query, gallery, "same_tracklet_out")


def test_clothes_may_be_known_in_part_where_the_dataset_says_so(root):
    records = read_records("last", root)
    protocols = DATASETS["last"].protocols
    check_records(records, protocols, partly_labelled=True)
    with pytest.raises(ValueError, match=r"4 of 16 images .* 'train' have no clothes"):
        check_records(records, protocols)
    some = [r._replace(camera=i % 2 - 1) for i, r in enumerate(records["train"])]
    with pytest.raises(ValueError, match=r"8 of 16 images .* have no camera"):
        check_records(records | {"train": some}, protocols, partly_labelled=True)


def test_outfits_known_in_part_stay_contiguous_when_persons_are_held_out(root):
    train = make_split(read_records("last", root)["train"], None, root)
    rest, held_out = hold_out_identities(train, 0.5, seed=0)
    assert "clothes" not in rest.known
    for images in (rest, held_out.relabelled()):
        assert images.clothes.tolist() == [0, 0, 1, -1, 2, 2, 3, -1]
        assert images.pid.tolist() == np.repeat([0, 1], 4).tolist()
