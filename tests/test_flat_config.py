"""Configs as flat tables of fields."""

import json

from ml_collections import ConfigDict

from configs import base
from mbnet_jax.config import flat

NESTED = {
    "seed": 3,
    "model": {"backbones": {"mask": {"name": "resnet10"}}, "branches": ("mask",)},
    "empty": {},
    "eval": {"ranks": [1, 5], "draw": None},
}
FLAT = {
    "seed": 3,
    "model.backbones.mask.name": "resnet10",
    "model.branches": ("mask",),
    "eval.ranks": [1, 5],
    "eval.draw": None,
}


def test_leaves_have_their_full_names_in_order():
    assert flat(NESTED) == FLAT
    assert list(flat(NESTED)) == list(FLAT)


def test_a_config_and_its_dict_are_flattened_alike():
    config = ConfigDict(NESTED)
    assert flat(config) == flat(config.to_dict()) == flat(NESTED)


def test_references_are_resolved():
    config = ConfigDict({"a": 1, "b": {}})
    config.b.c = config.get_ref("a")
    config.a = 2
    assert flat(config) == {"a": 2, "b.c": 2}


def test_a_prefix_is_put_before_every_name():
    assert flat({"a": 1, "b": {"c": 2}}, "config.") == {"config.a": 1, "config.b.c": 2}


def test_every_field_of_the_defaults_can_be_read_by_its_flat_name():
    config = base.get_config()
    fields = flat(config)
    assert len(fields) > 20
    for name, value in fields.items():
        found = config
        for key in name.split("."):
            found = found[key]
        assert found == value, name
    # As JSON holds the config, the names are the same.
    assert list(flat(json.loads(json.dumps(config.to_dict())))) == list(fields)
