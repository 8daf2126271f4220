"""Manifests: CSV files that list somebody's images."""

import csv
import functools
import io
import tempfile
from pathlib import Path

import layouts

from mbnet_jax.data import read_records

from . import mutate
from .case import Case, surface
from .choices import Choices

COLUMNS = ("path", "pid", "split", "camera", "clothes")
OTHERS = {
    "path": ("Path", "FILE", "image path", "file-name"),
    "pid": ("PID", "Person", "identity", "person id"),
    "split": ("Split", "subset"),
    "camera": ("Camera", "cam", "CamID"),
    "clothes": ("CLOTHES", "outfit", "Clothes ID"),
}
EXTRA = ("", "age", "Größe (cm)", "x,y", "a;b", "name\tof", "\u202e")
SPLITS = {"train": ("Train", "TRAINING"), "query": ("Query", "probe")}
CELLS = (
    "", " ", "-1", "0", "007", "9" * 5000, "2147483648", "١٢", "x" * 70_000, "\0",
    "\ufeff", "a,b", 'a"b', "a\nb", "../../up.jpg", "/etc/passwd", "..", ".",
    "pictures", "\u202e", "train", "query", "TRAIN", "nan", "1e3", "½", "²",
)  # fmt: skip


@functools.cache
def template() -> Path:
    """A folder with a sound manifest."""
    root = Path(tempfile.mkdtemp(prefix="fuzz-manifest-"))
    return layouts.write_manifest(root)


def rows() -> list[dict[str, str]]:
    text = (template() / "manifest.csv").read_text("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def written(found: list[dict], columns=COLUMNS, names=(), **dialect) -> str:
    """The text of a manifest; `names` are those of its header, if they are others."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, columns, extrasaction="ignore", **dialect)
    writer.writerow(dict(zip(columns, names or columns, strict=True)))
    writer.writerows(found)
    return stream.getvalue()


@functools.cache
def expected() -> dict[str, list]:
    return relative(read_records("manifest", template()), template())


def relative(records: dict, root: Path) -> dict[str, list]:
    return {
        split: [(record.path.relative_to(root), *record[1:]) for record in of]
        for split, of in records.items()
    }


def other_form(c: Choices) -> tuple[str, bytes]:
    """The sound manifest in the form of another spreadsheet or person."""
    columns = [*COLUMNS]
    names = [c.pick((name, *OTHERS[name])) for name in columns]
    if c.once_in(2):
        place = c.whole(0, len(columns))
        columns.insert(place, "extra")
        names.insert(place, c.pick(EXTRA))
    found = rows()
    slash = c.pick("/\\")
    for row in found:
        row["split"] = c.pick((row["split"], *SPLITS.get(row["split"], ())))
        row["path"] = row["path"].replace("/", slash)
        row["extra"] = c.pick([cell for cell in CELLS if cell not in ("\0", "a\nb")])
    delimiter, end = c.pick(",;\t"), c.pick(("\n", "\r\n", "\r"))
    quoting = c.pick((csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC))
    dialect = {"delimiter": delimiter, "lineterminator": end, "quoting": quoting}
    text = written(found, columns, names, **dialect)
    if c.once_in(4):
        text += f"{delimiter * (len(columns) - 1)}{end}" * 2
    if c.once_in(4):
        text = f"sep={delimiter}{end}{text}"
    encoding = c.pick(("utf-8", "utf-8-sig", "utf-16"))
    what = f"{names} between {delimiter!r}, {slash}, {end!r}, {encoding}"
    return mutate.shown(what), text.encode(encoding)


@surface("manifest", share=40, seconds=10)
def manifest(c: Choices, folder: Path) -> Case:
    """A cell, a row, the header, the bytes or the encoding is odd."""
    root = folder / "data"
    root.mkdir()
    (root / "pictures").symlink_to(template() / "pictures")
    file = root / "manifest.csv"
    found = rows()
    number = c.whole(0, len(found) - 1)
    kind = c.pick(
        ("cell",) * 6
        + ("row", "header", "bytes", "encoding", "file", "none", "form", "form")
    )
    valid: bool | None = None
    tokens = (file.name,)
    text = written(found)
    if kind == "cell":
        column, new = c.pick(COLUMNS), c.pick(CELLS)
        tokens = (file.name, found[number]["pid"])
        found[number][column] = new
        text, what = written(found), f"{column} of row {number} = {mutate.shown(new)}"
        splits = ("train", "query", "gallery")
        odd_split = column == "split" and new.lower() not in splits
        if odd_split or new == "\0" or (column == "path" and new != "/etc/passwd"):
            valid = False
    elif kind == "row":
        what = c.pick(("twice", "all gone", "one split", "longer", "shorter"))
        if what == "twice":
            found.append(dict(found[number]))
        elif what == "all gone":
            found = []
        elif what == "one split":
            found = [row for row in found if row["split"] == "train"]
        text = written(found)
        if what in ("longer", "shorter"):
            lines = text.split("\r\n")
            lines[number + 1] += ",more" if what == "longer" else ""
            if what == "shorter":
                lines[number + 1] = lines[number + 1].rpartition(",")[0]
            text = "\r\n".join(lines)
        valid = False
    elif kind == "header":
        columns = c.pick(
            (COLUMNS[1:], (*COLUMNS, "x"), ("path", "path", "pid", "split"),
             ("file", "Image", *COLUMNS[1:]), COLUMNS[:2], (), ("", *COLUMNS))
        )  # fmt: skip
        what = f"columns {columns}"
        _, _, rest = text.partition("\r\n")
        text = ",".join(columns) + "\r\n" + rest
        valid = False
    elif kind == "none":
        what, valid = "sound", True
    else:
        what = ""
    data = text.encode("utf-8", "surrogateescape")
    if kind == "bytes":
        what, data = mutate.damaged(c, data)
    elif kind == "encoding":
        what = c.pick(("utf-16", "utf-32", "cp037", "latin-1"))
        data = text.replace(",blue", ",blü").encode(what)
        valid = what == "utf-16"
    elif kind == "form":
        what, data = other_form(c)
        valid = True
    file.write_bytes(data)
    if kind == "file":
        what, valid = mutate.odd_file(c, file), False

    def check(records) -> str | None:
        images = [record.path for part in records.values() for record in part]
        if any(not path.is_file() for path in images):
            return "an image does not exist"
        # Paths may be absolute; others stay in their folder.
        inside = [path for path in images if path.is_relative_to(root)]
        if any(not path.resolve().is_relative_to(template()) for path in inside):
            return "an image is outside of the folder"
        pids = {record.pid for record in records["train"]}
        if pids != set(range(len(pids))):
            return f"training persons {pids}"
        labels = [n for part in records.values() for r in part for n in r[1:4]]
        if not all(-1 <= label < 2**31 for label in labels):
            return "a label beyond int32"
        if kind in ("none", "form") and relative(records, root) != expected():
            return "other records than of the plain manifest"
        return None

    return Case(what, lambda: read_records("manifest", root), tokens, check, valid)
