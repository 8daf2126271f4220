"""Fields: what each kind of value may be, and how others are refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml_collections import ConfigDict

from mbnet_jax import schema
from mbnet_jax.config import check_config, flat
from mbnet_jax.configs import base
from mbnet_jax.schema import check, choice, flag, optional, real, several, text, whole

HUGE = 10**5000


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        (whole(1, 1, 4), [1, 4], [0, 5, 1.0, True, "1", None, HUGE, np.int64(1), [1]]),
        (
            real(0.5, 0, 1),
            [0, 1, 0.5, np.float64(0.5)],
            [-1e-9, 1.1, math.nan, math.inf, -math.inf, HUGE, True, "0.5", None, 1j],
        ),
        (real(0.5, 0, 1, above=True), [1e-9, 1], [0, 0.0, -0.0]),
        (flag(True), [True, False], [0, 1, "True", None, np.bool_(True)]),
        (choice("a", "b"), ["a", "b"], ["", "c", "A", None, ("a",), ["a"], 1]),
        (
            text("", 1, 4),
            ["a", "ä\u3000é", "a b", "a\ufffd"],
            ["", "abcde", "a\0", "a\nb", "\ud800", "\x7f", "\u2028", b"a", None],
        ),
        (
            several((), whole(None, 1), 1, 3),
            [(1,), [1, 2], (1, 2, 3)],
            [
                (),
                (1, 1),
                (0,),
                (1, 2, 3, 4),
                ("1",),
                ([1],),
                1,
                "1",
                {1},
                None,
                (True,),
            ],
        ),
        (
            schema.size(64, 32),
            [(64, 64), [8, 2048]],
            [(7, 8), (8,), (8, 8, 8), (8.0, 8)],
        ),
        (schema.mapping(), [{}, {"a": 1}], [[], None]),
    ],
)
def test_a_field_accepts_its_values_alone(field, good, bad):
    for value in good:
        assert field.accepts(value), value
        check({"name": value}, {"name": field}, "")
    for value in bad:
        assert not field.accepts(value), type(value)
        with pytest.raises(ValueError) as error:
            check({"name": value}, {"name": field}, "")
        message = str(error.value)
        assert message.startswith("name=") and message.endswith(field.allowed())
        assert message.isprintable() and len(message) < 200


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (whole(1, 1, 4000), "a whole number from 1 to 4,000"),
        (real(1, 0, 0.5), "a number from 0 to 0.5"),
        (real(1, 0, 1e6, above=True), "a number above 0, at most 1,000,000"),
        (flag(True), "True or False"),
        (choice("a", "b"), "one of 'a', 'b'"),
        (text("", 1, 9), "text of 1 to 9 characters, without control codes"),
        (several((), flag(None), 0, 3), "0 to 3 different entries, each True or False"),
        (schema.size(8, 8), "2 entries, each a whole number from 8 to 2,048"),
        (schema.mapping(), "an object"),
    ],
)
def test_a_field_says_what_it_may_be(field, expected):
    assert field.allowed() == expected


def test_every_default_is_allowed_and_every_limit_is_finite():
    for name, field in flat(base.FIELDS).items():
        if schema.ANY not in name or field.default is not None:
            assert field.accepts(field.default), name
        if field.kind in (int, float):
            assert math.isfinite(field.low) and math.isfinite(field.high), name


def test_unknown_missing_and_misplaced_entries_are_named():
    fields = ConfigDict({"a": whole(1), "b": {"c": whole(2), "d": flag(True)}})
    check({"a": 1, "b": {"c": 1, "d": True}}, fields, "it")
    for values, message in (
        ({"a": 1, "b": {"c": 1}}, "it: b.d is missing; it must be True or False"),
        ({"a": 1, "b": 3}, "it: b=3 must be a section with fields of its own"),
        ({"a": {}, "b": {"c": 1, "d": True}}, "it: a={} must be a whole number"),
        ({"aa": 1}, "aa is unknown; nearest known: a"),
        ({1: 1, "a": 1, "b": {"c": 1, "d": True}}, "it: 1 is unknown"),
        ({"\n\0": 1}, r"'\\n\\x00' is unknown"),
        (None, "it: names with values are needed, got None"),
        ([1], r"it: names with values are needed, got \[1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            check(values, fields, "it")


def test_what_may_be_missing_may_be_missing():
    fields = {"a": optional(whole(1)), "b": whole(1)}
    check({"b": 1}, fields, "it")
    with pytest.raises(ValueError, match="it: a='x' must be"):
        check({"a": "x", "b": 1}, fields, "it")


def test_a_message_lists_at_most_ten_problems():
    with pytest.raises(ValueError) as error:
        check({f"x{n}": n for n in range(100)}, {"a": whole(1)}, "it", remedy="stop")
    lines = str(error.value).split("\n  ")
    assert len(lines) == 12 and lines[-1] == "and 91 more; stop"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = sorted(name for name in flat(base.FIELDS) if schema.ANY not in name)


@given(st.sampled_from(NAMES), VALUES)
def test_a_config_with_any_value_in_any_field_passes_or_is_refused(name, value):
    config = base.get_config().to_dict()
    *sections, key = name.split(".")
    section = config
    for part in sections:
        section = section.setdefault(part, {})
    section[key] = value
    if flat(base.FIELDS)[name].accepts(value):
        check_config(config)
        return
    with pytest.raises(ValueError) as error:
        check_config(config, "config.json")
    assert str(error.value).startswith(f"config.json: {name}=")
    assert str(error.value).isprintable()
