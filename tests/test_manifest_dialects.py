"""Manifests as spreadsheets and people write them, read as the plain one."""

from pathlib import Path

import layouts
import pytest

from mbnet_jax.data import read_records
from mbnet_jax.data.datasets import csv_columns

PLAIN = """path,pid,split,camera,clothes
in/a.jpg,Ana 65,train,door,outfit 3
in/b.jpg,Óscar,train,yard,"red, blue"
in/c.jpg,山田,query,door,1
in/d.jpg,山田,gallery,yard,2
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("photographs")
    for name in "abcd":
        layouts.write_image(root / "in" / f"{name}.jpg", 1)
    return root


def read(root, content):
    data = content if isinstance(content, bytes) else content.encode()
    (root / "manifest.csv").write_bytes(data)
    return read_records("manifest", root)


@pytest.fixture(scope="module")
def plain(root):
    return read(root, PLAIN)


def columns(*names):
    return PLAIN.replace("path,pid,split,camera,clothes", ",".join(names))


def with_delimiter(delimiter):
    cells = PLAIN.replace('"red, blue"', "red; blue").split(",")
    return delimiter.join(cells).replace("red; blue", '"red, blue"')


FORMS = {
    "semicolons": with_delimiter(";"),
    "tabs": with_delimiter("\t"),
    "semicolons, announced": "sep=;\r\n" + with_delimiter(";"),
    "tabs, announced": "sep=\t\n" + with_delimiter("\t"),
    "commas, announced": "sep=,\n" + PLAIN,
    "a byte order mark": PLAIN.encode("utf-8-sig"),
    "a byte order mark, semicolons": with_delimiter(";").encode("utf-8-sig"),
    "Excel's Unicode text": with_delimiter("\t").encode("utf-16"),
    "UTF-16 of a big-endian machine": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "lines of Windows": PLAIN.replace("\n", "\r\n"),
    "lines of an old Macintosh": PLAIN.replace("\n", "\r"),
    "every cell quoted": "\n".join(
        '"' + '","'.join(line.replace('"red, blue"', "red. blue").split(",")) + '"'
        for line in PLAIN.splitlines()
    ).replace("red. blue", "red, blue"),
    "space around cells": PLAIN.replace(",", ", ").replace("red,  blue", "red, blue"),
    "capitals": columns("Path", "PID", "SPLIT", "Camera", "CLOTHES")
    .replace(",train", ",Train")
    .replace(",gallery", ",GALLERY"),
    "empty rows": "\n" + PLAIN.replace("\nin/c", "\n,,,,\n \nin/c") + ",,,,\n\n",
    "backslashes": PLAIN.replace("in/", "in\\"),
    "a dot first": PLAIN.replace("in/", ".\\in\\"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_read_without_a_word(form, root, plain, capsys):
    assert read(root, FORMS[form]) == plain
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (
            columns("File Name", "person", "Subset", "CamID", "outfit"),
            "read File Name as path, person as pid, Subset as split, CamID as camera, "
            "outfit as clothes",
        ),
        (PLAIN.replace("train", "Training"), "read Training as train"),
        (
            PLAIN.replace("\n", ",\n").replace("clothes,", "clothes,age"),
            "ignored 1 column: age",
        ),
        (
            # An own name counts more, so an image's number is no person.
            "\n".join(f"{n},{line}" for n, line in enumerate(PLAIN.splitlines()))
            .replace("0,path", "id,path", 1)
            .replace("\n2,", "\n\x01,"),
            "ignored 1 column: id",
        ),
        (
            "\n".join(f"{line},,x" for line in PLAIN.splitlines()),
            "ignored 2 columns: (one without a name), x",
        ),
    ],
)
def test_what_is_guessed_or_ignored_is_said_once(content, note, root, plain, capsys):
    assert read(root, content) == plain
    assert capsys.readouterr().out == f"note: {root / 'manifest.csv'}: {note}\n"


def test_every_other_name_is_one_columns_and_no_columns_own():
    names = [name for of in csv_columns.ALIASES.values() for name in of]
    assert len({*names, *csv_columns.ALIASES}) == len(names) + len(csv_columns.ALIASES)
    for column, aliases in csv_columns.ALIASES.items():
        for name in aliases:
            title = name.replace("_", " ").title()
            header = [title, *(c for c in csv_columns.REQUIRED if c != column)]
            assert csv_columns.fits(header)
            assert csv_columns.find_columns("x", header).at[column] == 0


def test_a_backslash_that_is_in_a_name_stays(root, plain):
    (root / "in" / "a.jpg").rename(root / "in\\a.jpg")
    try:
        found = read(root, PLAIN.replace("in/", "in\\"))
    finally:
        (root / "in\\a.jpg").rename(root / "in" / "a.jpg")
    assert [r.path.name for r in found["train"]] == ["b.jpg", "in\\a.jpg"]


def test_maps_have_backslashes_too(root):
    lines = PLAIN.splitlines()
    rows = [f"{lines[0]},mask", *(rf"{line},in\a.jpg" for line in lines[1:])]
    found = read(root, "\n".join(rows))
    assert {r.parsing_path for r in found["train"]} == {root / "in" / "a.jpg"}


@pytest.mark.parametrize(
    ("one", "other"), [("65", "65.0"), ("65", "065"), ("Ana  B", "ana B")]
)
def test_identifiers_that_a_spreadsheet_changed_are_named(one, other, root, capsys):
    text = PLAIN.replace("Ana 65", one).replace("Óscar", other)
    assert {r.own.person for r in read(root, text)["train"]} == {one, other}
    assert f"pid {one} (line 2) and {other} (line 3) differ only in case, space or" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("Manifest.csv", "rename Manifest.csv to it"),
        ("manifest.tsv", "rename manifest.tsv to it"),
        ("manifest.xlsx", r"save manifest.xlsx as it \(a spreadsheet calls it CSV"),
    ],
)
def test_a_manifest_by_another_name_is_named(name, remedy, tmp_path):
    (tmp_path / name).write_text(PLAIN)
    with pytest.raises(FileNotFoundError, match=rf"manifest\.csv is missing; {remedy}"):
        read_records("manifest", tmp_path)


def test_every_other_name_is_on_the_page():
    text = (Path(__file__).parent.parent / "docs" / "datasets.md").read_text()
    for column, aliases in csv_columns.ALIASES.items():
        names = ", ".join(f"`{name}`" for name in aliases)
        assert f"| `{column}` | {names} |" in text
