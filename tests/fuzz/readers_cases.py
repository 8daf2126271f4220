"""Folders of datasets, in the layout of each reader."""

import functools
import os
import shutil
import tempfile
from pathlib import Path

import layouts
import layouts_clothes
import tiny

from mbnet_jax.data import read_records
from mbnet_jax.data.builder import fingerprint
from mbnet_jax.data.checks import check_files
from mbnet_jax.images import IMAGE_ENDINGS

from . import mutate
from .case import Case, surface
from .choices import Choices

MAKERS = {
    "ltcc": (layouts.write_ltcc, "LTCC_ReID"),
    "prcc": (layouts.write_prcc, "prcc/rgb"),
    "vc_clothes": (layouts.write_vc_clothes, "VC-Clothes"),
    "last": (layouts_clothes.write_last, "last"),
    "nkup": (layouts_clothes.write_nkup, ""),
    "synthetic": (tiny.write_folder, ""),
}
STEMS = {
    "ltcc": "{}_{}_c{}_015801.png",
    "prcc": "{}/A_cropped_rgb{}{}.jpg",
    "vc_clothes": "{}-{}-{}-01.jpg",
    "last": "{}_{}_00009_0134_01_{}.jpg",
    "nkup": "{}_D0912_C{}S{}_00151.jpg",
    "synthetic": "{}_{}_c{}_1.jpg",
}
NUMBERS = ("0", "1", "0002", "2147483648", "9" * 30, "9" * 5000, "١٢", "-1", "²", "")


@functools.cache
def template(name: str) -> Path:
    """A sound folder of a dataset."""
    root = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    MAKERS[name][0](root)
    return root


def _linked(source: str, target: str) -> None:
    os.link(source, target)


def images(root: Path) -> list[Path]:
    """All image files, as the readers should find them, without those of maps."""
    return sorted(
        Path(parent, name)
        for parent, _, names in os.walk(root, followlinks=True)
        for name in names
        if name.lower().endswith(IMAGE_ENDINGS) and not name.startswith(".")
        if "parsing" not in Path(parent).parts
    )


@surface("readers", share=40, seconds=15)
def readers(c: Choices, folder: Path) -> Case:
    """A file or folder is renamed, missing, of another kind or too many."""
    name = c.pick([*MAKERS])
    root = folder / "data"
    # Links: nothing writes into these files.
    shutil.copytree(template(name), root, copy_function=_linked)
    top = root / MAKERS[name][1]
    before = images(top)
    path = c.pick(before)
    kind = c.pick(("number",) * 4 + ("name", "name", "gone", "file", "folder", "none"))
    tokens = (path.name, path.parent.name, str(top), root.name)
    valid: bool | None = None
    if kind == "number":
        numbers = [c.pick(NUMBERS) for _ in range(3)]
        new = path.parent / STEMS[name].format(*numbers)
        if name == "prcc" and path.parent.name.isdigit():
            new = path.parent.parent / STEMS[name].format(*numbers)
        what = f"renamed {mutate.shown(new.name)}"
        tokens = (new.name, *(n for n in numbers if len(n) > 5), *tokens)
        if not _renamed(path, new):
            what = "sound"
    elif kind == "name":
        new = path.parent / c.pick([n for n in mutate.NAMES if n[:1] != "/"])
        what = f"renamed {mutate.shown(new.name)}"
        tokens = (new.name, *tokens)
        if not _renamed(path, new):
            what = "sound"
    elif kind == "gone":
        part = c.pick(sorted({p.parent for p in before} | {top}))
        shutil.rmtree(part)
        what, valid = f"no {part.relative_to(root)}", None
        tokens = (part.name, *tokens)
    elif kind == "file":
        what = mutate.odd_file(c, path)
    elif kind == "folder":
        what = c.pick(("loop", "file instead", "link to all", "empty"))
        part = path.parent
        if what == "loop":
            (part / "again").symlink_to(part)
        elif what == "link to all":
            (part / "again").symlink_to(root)
        else:
            shutil.rmtree(part)
            part.write_text("x") if what == "file instead" else part.mkdir()
    else:
        what, valid = "sound", True
    expected = len(images(top)) if kind in ("number", "name", "none") else None

    def check(records) -> str | None:
        rows = [record for part in records.values() for record in part]
        if not all(record.path.exists() for record in rows):
            return "an image does not exist"
        if any(not record.path.is_file() for record in rows):
            return "an image is not a file"
        labels = [n for r in rows for n in r[1:4]]
        if not all(-1 <= label < 2**31 for label in labels):
            return "a label beyond int32"
        pids = {record.pid for record in records["train"]}
        if pids != set(range(len(pids))):
            return "training persons are not contiguous"
        paths = {record.path for record in rows}
        if len(paths) != len(rows):
            return "an image is listed twice"
        if expected is not None and len(rows) != expected:
            return f"{len(rows)} records of {expected} images"
        return None

    what = f"{name}: {what}"

    def run():
        records = read_records(name, root)
        # What happens next, before training.
        fingerprint(records, top)
        check_files(records)
        return records

    return Case(what, run, tokens, check, valid)


def _renamed(path: Path, new: Path) -> bool:
    """Renames if the system takes the name."""
    try:
        new.parent.mkdir(exist_ok=True)
        inside = Path(os.path.normpath(new)).is_relative_to(path.parent.parent)
        if new.exists() or new.is_symlink() or ".." in new.parts or not inside:
            return False
        path.rename(new)
    except (OSError, ValueError):
        return False
    return True
