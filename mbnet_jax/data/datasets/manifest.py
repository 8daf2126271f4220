"""Your own images, listed in a CSV file."""

import csv
from pathlib import Path

from mbnet_jax.data.datasets.reading import Found, check_parsing, number
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.records import UNKNOWN, Records, contiguous, some_of

FILE = "manifest.csv"
REQUIRED = ("path", "pid", "split")
OPTIONAL = ("camera", "clothes", "parsing")
SPLITS = ("train", "val", "query", "gallery")  # val is optional
_FORMAT = (
    f"It is a CSV file with the columns {', '.join(REQUIRED)} and, where known, "
    f"{', '.join(OPTIONAL)}; docs/datasets.md has an example"
)


def read_manifest(root: Path) -> Records:
    """Reads `manifest.csv` in `root`; paths in it are relative to `root`.

    Identifiers are any strings. If all persons are whole numbers, test persons keep
    theirs; otherwise they are numbered in sorted order, as cameras always are. If no
    row names a camera, every image's camera is `UNKNOWN`; the same for clothes.

    Raises:
      FileNotFoundError: the file, an image or a parsing map is missing.
      ValueError: columns or rows do not fit, or a person is in both the training and
        the test splits.
    """
    file = root / FILE
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing. {_FORMAT}")
    rows = _rows(file)
    missing = [row["path"] for row in rows if not (root / row["path"]).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{file}: {len(missing)} of {len(rows)} images do not exist: "
            f"{some_of(missing)}. Paths are relative to {root}"
        )
    persons = _numbers(row["pid"] for row in rows)
    cameras = _numbers((row["camera"] for row in rows), keep=False)
    outfits = _numbers((row["clothes"] for row in rows), keep=False)
    found: dict[str, list[Found]] = {}
    for split in SPLITS:
        of_split = [row for row in rows if row["split"] == split]
        if of_split or split != "val":
            found[split] = [
                Found(
                    root / row["path"],
                    persons[row["pid"]],
                    cameras.get(row["camera"], UNKNOWN),
                    outfits.get(row["clothes"]),
                    root / row["parsing"] if row["parsing"] else None,
                )
                for row in sorted(of_split, key=lambda row: row["path"])
            ]
    records = number(found)
    check_parsing(records)
    return records


def _rows(file: Path) -> list[dict[str, str]]:
    """Reads the rows; each has every column, "" for a missing value, and its line."""
    # Spreadsheets begin a CSV file with a byte order mark.
    with file.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines, restkey="", restval="")
        columns = reader.fieldnames or []
        wrong = set(columns) - {*REQUIRED, *OPTIONAL}
        if wrong or not set(REQUIRED) <= set(columns):
            raise ValueError(f"{file} has the columns {', '.join(columns)}. {_FORMAT}")
        rows = [
            {key: (row.get(key) or "").strip() for key in (*REQUIRED, *OPTIONAL)}
            | {"line": str(reader.line_num)}
            for row in reader
        ]
    seen: dict[str, str] = {}
    for row in rows:
        where = f"{file}, line {row['line']}"
        if row["split"] not in SPLITS:
            raise ValueError(
                f"{where}: split {row['split']!r} is unknown; known: "
                f"{', '.join(SPLITS)}"
            )
        if not row["path"] or not row["pid"]:
            raise ValueError(f"{where}: path and pid must not be empty")
        if row["path"] in seen:
            raise ValueError(
                f"{where}: {row['path']} is in line {seen[row['path']]} already; "
                "list each image once"
            )
        seen[row["path"]] = row["line"]
    for split in SPLITS:
        if split != "val" and not any(row["split"] == split for row in rows):
            raise ValueError(f"{file} has no row of the split {split}. {_FORMAT}")
    for column in ("camera", "clothes"):
        empty = [row["line"] for row in rows if not row[column]]
        if empty and len(empty) < len(rows):
            raise ValueError(
                f"{file}: {column} is empty in {len(empty)} of {len(rows)} rows, the "
                f"first in line {empty[0]}; give all, or leave the column out"
            )
    return rows


def _numbers(names, keep: bool = True) -> dict[str, int]:
    """Maps each name that is not empty to a number.

    If all names are whole numbers, they are sorted as numbers and, with `keep`, stay
    what they are.
    """
    names = {name for name in names if name}
    # "01" is not "1": such names stay apart.
    if all(name.isdecimal() and str(int(name)) == name for name in names):
        own = {name: int(name) for name in names}
        if keep and max(own.values(), default=0) < 2**31:
            return own
        order = contiguous(own.values())
        return {name: order[value] for name, value in own.items()}
    return contiguous(names)


SPEC = DatasetSpec(name="manifest", read=read_manifest)
