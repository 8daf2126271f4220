"""Reads `manifest.csv`: its text, its columns and its rows."""

import codecs
import csv
import io
import unicodedata
from pathlib import Path

from mbnet_jax.data.records import some_of
from mbnet_jax.files import read_bytes

REQUIRED = ("path", "pid", "split")
OPTIONAL = ("camera", "clothes", "parsing")
SPLITS = ("train", "val", "query", "gallery")  # val is optional
FORMAT = (
    f"It is a CSV file with the columns {', '.join(REQUIRED)} and, where known, "
    f"{', '.join(OPTIONAL)}, between commas; docs/datasets.md has an example"
)
MAX_BYTES = 64 << 20  # half a million rows
_SAVE = "save it as UTF-8 (a spreadsheet calls it CSV UTF-8)"


def read_rows(file: Path) -> list[dict[str, str]]:
    """Reads the rows; each has every column, "" for a missing value, and its line.

    Raises:
      FileNotFoundError: the file is missing.
      ValueError: naming the file and the line, if its encoding, columns or rows do not
        fit.
    """
    reader = csv.reader(io.StringIO(_text(file), newline=""), strict=True)
    try:
        table = [(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        raise ValueError(
            f"{file}, line {reader.line_num}: {error}; check the quotes up to there"
        ) from error
    columns = [cell.strip() for cell in table[0][1]] if table else []
    _check_columns(file, columns)
    empty = dict.fromkeys(OPTIONAL, "")
    rows = []
    for line, cells in table[1:]:
        if len(cells) != len(columns):
            raise ValueError(
                f"{file}, line {line} has {len(cells)} cells, the header "
                f"{len(columns)}; quote a cell that holds a comma"
            )
        cells = (cell.strip() for cell in cells)
        row = empty | dict(zip(columns, cells, strict=True)) | {"line": str(line)}
        _check_row(f"{file}, line {line}", row)
        rows.append(row)
    _check_together(file, rows)
    return rows


def _text(file: Path) -> str:
    data = read_bytes(file, MAX_BYTES)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError(f"{file} is UTF-16; {_SAVE}")
    wrong = data.find(b"\0")
    if wrong < 0:
        try:
            # Spreadsheets begin a CSV file with a byte order mark.
            return data.removeprefix(codecs.BOM_UTF8).decode()
        except UnicodeDecodeError as error:
            data, wrong = error.object, error.start
    line = data.count(b"\n", 0, wrong) + 1
    raise ValueError(
        f"{file}, line {line}: the byte {data[wrong]:#04x} is not UTF-8 text; {_SAVE}"
    )


def _check_columns(file: Path, columns: list[str]) -> None:
    known = {*REQUIRED, *OPTIONAL}
    if not {*REQUIRED} <= {*columns} <= known:
        found = some_of(columns, most=10) or "none"
        raise ValueError(f"{file} has the columns {found[:300]}. {FORMAT}")
    twice = {name for name in columns if columns.count(name) > 1}
    if twice:
        raise ValueError(
            f"{file} has the column {some_of(sorted(twice))} twice; keep one"
        )


def _check_row(where: str, row: dict[str, str]) -> None:
    if row["split"] not in SPLITS:
        raise ValueError(
            f"{where}: split {row['split'][:80]!r} is unknown; known: "
            f"{', '.join(SPLITS)}"
        )
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
        _check_spelling(file, rows, column)


def _check_spelling(file: Path, rows: list[dict[str, str]], column: str) -> None:
    """Refuses one identifier in two encodings; warns of what looks like one."""
    lines = {row[column]: row["line"] for row in reversed(rows)}
    same: dict[str, str] = {}
    alike: dict[str, str] = {}
    warned = False
    for name, line in reversed(lines.items()):
        composed = unicodedata.normalize("NFC", name)
        other = same.setdefault(composed, name)
        if other != name:
            raise ValueError(
                f"{file}: the {column} {name} of line {line} looks like that of line "
                f"{lines[other]}, but has other Unicode characters; write both alike"
            )
        other = alike.setdefault(composed.casefold().lstrip("0"), name)
        if other != name and not warned:
            warned = True
            print(
                f"warning: {file}: {column} {other} (line {lines[other]}) and {name} "
                f"(line {line}) differ only in case or zeros; they count as two"
            )
