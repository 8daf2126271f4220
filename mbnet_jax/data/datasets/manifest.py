"""Your own images, listed in a CSV file."""

from collections.abc import Iterable
from pathlib import Path

from mbnet_jax.data.datasets.csv_columns import FORMAT
from mbnet_jax.data.datasets.csv_table import SPLITS, read_rows
from mbnet_jax.data.datasets.listing import check_regular
from mbnet_jax.data.datasets.reading import Found, check_parsing, number
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.records import UNKNOWN, Identifiers, Records, contiguous, some_of

FILE = "manifest.csv"


def read_manifest(root: Path) -> Records:
    """Reads `manifest.csv` in `root`; paths in it are relative to `root`, or absolute.

    How many are absolute is printed.

    Identifiers are any strings. If all persons are whole numbers, test persons keep
    theirs; otherwise they are numbered in sorted order, as cameras always are. If no
    row names a camera, every image's camera is `UNKNOWN`; the same for clothes.

    Raises:
      FileNotFoundError: the file, an image or a parsing map is missing.
      ValueError: columns or rows do not fit, or a person is in both the training and
        the test splits.
    """
    file = root / FILE
    if not file.exists():
        raise FileNotFoundError(f"{file} is missing{_renamed(root)}. {FORMAT}")
    rows = read_rows(file)
    images = [root / row["path"] for row in rows]
    check_regular(images, f"images of {file}", f"Give paths relative to {root}")
    paths = [row[c] for row in rows for c in ("path", "parsing") if row[c]]
    absolute = [path for path in paths if path.startswith("/")]
    if absolute:
        count = f"{len(absolute)} of {len(paths)}"
        print(f"note: {file}: {count} paths are absolute: {some_of(absolute)}")
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
                    Identifiers(row["pid"], row["camera"], row["clothes"]),
                )
                for row in sorted(of_split, key=lambda row: row["path"])
            ]
    records = number(found)
    check_parsing(records)
    return records


def _renamed(root: Path) -> str:
    """How to get the file from one with a similar name, if there is one."""
    named = sorted(p.name for p in root.glob("*") if p.stem.lower() == "manifest")
    if not named:
        return ""
    if named[0].lower().endswith((".csv", ".tsv", ".txt")):
        return f"; rename {named[0]} to it"
    return f"; save {named[0]} as it (a spreadsheet calls it CSV UTF-8)"


def _numbers(names: Iterable[str], keep: bool = True) -> dict[str, int]:
    """Maps each name that is not empty to a number.

    If all names are whole numbers, they are sorted as numbers and, with `keep`, stay
    what they are.
    """
    names = {name for name in names if name}
    if not all(map(_is_number, names)):
        return contiguous(names)
    longest = max(map(len, names), default=0)
    if keep and longest <= 10 and all(int(name) < 2**31 for name in names):
        return {name: int(name) for name in names}
    order = contiguous((len(name), name) for name in names)  # of any length
    return {name: order[len(name), name] for name in names}


def _is_number(name: str) -> bool:
    # "01" is not "1": such names stay apart.
    return name.isascii() and name.isdecimal() and (name[0] != "0" or name == "0")


SPEC = DatasetSpec(name="manifest", read=read_manifest)
