"""Reads the rows of `manifest.csv`, and refuses those that do not fit."""

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from mbnet_jax.data.datasets.csv_columns import FORMAT, OPTIONAL, find_columns, fits
from mbnet_jax.data.datasets.csv_text import DELIMITERS, read_table
from mbnet_jax.data.records import some_of

SPLITS = ("train", "val", "query", "gallery")  # val is optional
_SPLIT_ALIASES = {
    "training": "train",
    "valid": "val",
    "validation": "val",
    "probe": "query",
}
_OF_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")  # how an absolute path starts there


def read_rows(file: Path) -> list[dict[str, str]]:
    """Reads the rows; each has every column, "" for a missing value, and its line.

    Paths have slashes and splits are of `SPLITS`. Columns that are ignored or have
    other names are printed.

    Raises:
      FileNotFoundError: the file is missing.
      ValueError: naming the file and the line, if its encoding, columns or rows do not
        fit.
    """
    table = read_table(file, fits)
    columns = find_columns(file, table.header)
    empty = dict.fromkeys(OPTIONAL, "")
    rows = []
    for line, cells in table.rows:
        if len(cells) != len(table.header):
            raise ValueError(
                f"{file}, line {line} has {len(cells)} cells, the header "
                f"{len(table.header)}; quote a cell that holds a "
                f"{DELIMITERS[table.delimiter]}"
            )
        row = {column: cells[place] for column, place in columns.at.items()}
        where = f"{file}, line {line}"
        for column in {"path", "parsing"} & {*row}:
            row[column] = _with_slashes(where, column, row[column], file.parent)
        row = empty | row | {"line": str(line)}
        _check_row(where, row)
        rows.append(row)
    splits = {row["split"] for row in rows} - {*SPLITS}
    for row in rows:
        row["split"] = _split(row["split"])
    _check_together(file, rows)
    renamed = {name: column for column, name in columns.renamed.items()}
    renamed |= {name: _split(name) for name in splits if name.lower() not in SPLITS}
    if renamed:
        read = some_of((f"{old} as {new}" for old, new in renamed.items()), most=10)
        print(f"note: {file}: read {read}")
    if columns.ignored:
        names = some_of(columns.ignored, most=10)
        count = len(columns.ignored)
        what = "1 column" if count == 1 else f"{count} columns"
        print(f"note: {file}: ignored {what}: {names}")
    return rows


def _split(name: str) -> str:
    """The split of `SPLITS` that a cell names; "" if it is none."""
    name = _SPLIT_ALIASES.get(name.lower(), name.lower())
    return name if name in SPLITS else ""


def _with_slashes(where: str, column: str, path: str, root: Path) -> str:
    """The path with slashes, unless a file has backslashes in its name."""
    of_windows = _OF_WINDOWS.match(path)
    if not (of_windows or "\\" in path) or os.path.lexists(root / path):
        return path
    if of_windows:
        raise ValueError(
            f"{where}: {column} {path[:80]!r} is an absolute path of Windows; write it "
            "relative to the manifest's folder"
        )
    return path.replace("\\", "/")


def _check_row(where: str, row: dict[str, str]) -> None:
    if not _split(row["split"]):
        hint = (
            ": give query for images to search for, gallery for those to search in"
            if row["split"].lower() in ("test", "testing")
            else f" is unknown; known: {', '.join(SPLITS)}"
        )
        raise ValueError(f"{where}: split {row['split'][:80]!r}{hint}")
    if not row["path"] or not row["pid"]:
        raise ValueError(f"{where}: path and pid must not be empty")
    for column, cell in row.items():
        if not cell.isprintable() and any(map(_is_control, cell)):
            raise ValueError(
                f"{where}: {column} {cell[:80]!r} holds a control character, or a "
                "quote is not closed"
            )
    for column in ("path", "parsing"):
        if ".." in Path(row[column]).parts:
            raise ValueError(
                f"{where}: {column} {row[column]!r} must not hold '..'; write it "
                "relative to the manifest's folder, or absolute"
            )


def _is_control(character: str) -> bool:
    return unicodedata.category(character) == "Cc"


def _check_together(file: Path, rows: list[dict[str, str]]) -> None:
    """Refuses rows that do not fit each other."""
    seen: dict[Path, str] = {}
    for row in rows:
        path = Path(row["path"])
        if path in seen:
            raise ValueError(
                f"{file}, line {row['line']}: {path} is in line {seen[path]} already; "
                "list each image once"
            )
        seen[path] = row["line"]
    for split in SPLITS:
        if split != "val" and not any(row["split"] == split for row in rows):
            raise ValueError(f"{file} has no row of the split {split}. {FORMAT}")
    for column in ("camera", "clothes"):
        empty = [row["line"] for row in rows if not row[column]]
        if empty and len(empty) < len(rows):
            raise ValueError(
                f"{file}: {column} is empty in {len(empty)} of {len(rows)} rows, the "
                f"first in line {empty[0]}; give all, or leave the column out"
            )
    for column in ("pid", "camera", "clothes"):
        _check_spelling(file, column, rows)


def _check_spelling(file: Path, column: str, rows: Iterable[dict[str, str]]) -> None:
    """Refuses one identifier in two encodings; warns of what looks like one."""
    lines: dict[str, str] = {}
    for row in rows:
        lines.setdefault(row[column], row["line"])
    same: dict[str, str] = {}
    alike: dict[str, str] = {}
    warned = False
    for name, line in lines.items():
        composed = unicodedata.normalize("NFC", name)
        other = same.setdefault(composed, name)
        if other != name:
            raise ValueError(
                f"{file}: the {column} {some_of([name])} of line {line} looks like "
                f"that of line {lines[other]}, but has other Unicode characters; write "
                "both alike"
            )
        other = alike.setdefault(_alike(composed), name)
        if other != name and not warned:
            warned = True
            print(
                f"warning: {file}: {column} {some_of([other])} (line {lines[other]}) "
                f"and {some_of([name])} (line {line}) differ only in case, space or "
                "zeros; they count as two"
            )


def _alike(name: str) -> str:
    """The name without what a spreadsheet or a hurried person changes in it."""
    name = " ".join(name.casefold().split()).lstrip("0")
    return re.sub(r"(?<=\d)[.,]0+$", "", name)  # 65.0 is how some write the number 65
