"""JSON files that are read back: whole, or refused in one sentence with the remedy."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbnet_jax.json_files import parse_json, read_json, write_json
from mbnet_jax.schema import flag, optional, several, text, whole

FIELDS = {
    "version": whole(1, 1, 1),
    "name": text(),
    "sizes": several(None, whole(None), 2, 2, repeated=True),
    "note": optional(flag(None)),
}
CONTENT = {"version": 1, "name": "ä", "sizes": [1, 1], "other": None}
REMEDY = "make it again"


def test_what_is_written_is_read_back(tmp_path):
    file = tmp_path / "a.json"
    write_json(file, CONTENT)
    assert read_json(file, FIELDS, REMEDY) == CONTENT
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())  # as some editors save it
    assert read_json(file, FIELDS, REMEDY) == CONTENT


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"{", "it is not JSON: "),
        (b"[]", "it holds no object"),
        (b"null", "it holds no object"),
        (b"\xff\xfe{\0}\0", "it is not text in UTF-8"),
        (b'{"name": "\xe4"}', "it is not text in UTF-8"),
        (b'{"a": NaN}', "it holds the number NaN"),
        (b'{"a": -Infinity}', "it holds the number -Infinity"),
        (b'{"a": 1e999}', "it holds the number 1e999"),
        (b'{"a": ' + b"9" * 5000 + b"}", "it holds a number of 5,000 characters"),
        (b'{"a": 1, "a": 2}', "it has 'a' twice"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"a":' * 100_000, "it is nested too deeply"),
        (b"\x89PNG\r\n\x1a\n", "it is not text in UTF-8"),
        (b"\0" * 10, "it is not JSON: "),
    ],
)
def test_damaged_content_is_refused(data, problem):
    with pytest.raises(ValueError) as error:
        parse_json(data, "a.json", REMEDY)
    message = str(error.value)
    assert message.startswith(f"a.json is damaged ({problem}")
    assert message.endswith(f"; {REMEDY}") and "\n" not in message


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"version": 2}, "version=2 must be a whole number from 1 to 1"),
        ({"version": True}, "version=True must be"),
        ({"name": None}, "name=None must be text"),
        ({"name": "\ud800"}, r"name='\ud800' must be text"),
        ({"sizes": [1]}, "sizes=[1] must be 2 entries"),
        ({"sizes": {"a": 1}}, "sizes={'a': 1} must be 2 entries"),
        ({"note": "yes"}, "note='yes' must be True or False"),
    ],
)
def test_entries_of_another_kind_are_refused(tmp_path, changes, problem):
    file = tmp_path / "a.json"
    write_json(file, CONTENT | changes)
    with pytest.raises(ValueError) as error:
        read_json(file, FIELDS, REMEDY)
    assert str(error.value).startswith(f"{file} is damaged: {problem}")


def test_a_missing_entry_is_named(tmp_path):
    write_json(tmp_path / "a.json", {"version": 1, "name": ""})
    with pytest.raises(ValueError, match="is damaged: sizes is missing; it must be 2"):
        read_json(tmp_path / "a.json", FIELDS, REMEDY)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        read_json(tmp_path / "none.json", FIELDS, REMEDY)
    with pytest.raises(ValueError, match=f"{tmp_path} is not a regular file"):
        read_json(tmp_path, FIELDS, REMEDY)
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(ValueError, match=r"pipe\.json is not a regular file"):
        read_json(tmp_path / "pipe.json", FIELDS, REMEDY)


@given(st.data())
def test_a_cut_or_changed_file_is_read_or_refused(data):
    good = json.dumps(CONTENT).encode()
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, len(good)))
    new = good[:start] + data.draw(st.binary(max_size=3)) + good[end:]
    try:
        assert isinstance(parse_json(new, "a.json", REMEDY), dict)
    except ValueError as error:
        assert str(error).startswith("a.json is damaged (it ")
