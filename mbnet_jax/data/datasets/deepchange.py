"""DeepChange: 17 cameras over 12 months; lists name the images and their tracklets."""

from pathlib import Path

from mbnet_jax.data.datasets.folders import the_only
from mbnet_jax.data.datasets.lists import Line, check_listed, image_in, read_lines
from mbnet_jax.data.datasets.reading import Found, number
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.data.records import Identifiers, Records

PLACES = ("DeepChangeDataset", "DeepChange")
FOLDERS = {
    "train": "train-set",
    "val_query": "val-set-query",
    "val_gallery": "val-set-gallery",
    "query": "test-set-query",
    "gallery": "test-set-gallery",
}
EXAMPLE = "p0003_c01_20201015_172644_000744_bbox.jpg,12"
LINE = (
    r"(?P<name>p(?P<pid>\d+)_c(?P<camera>\d*[1-9]\d*)_[^,/]+?)"
    r"\s*,\s*(?P<tracklet>-?\d{1,18})"
)


def read_deepchange(root: Path) -> Records:
    """Reads what each list `FOLDER-bbox.txt` names in its folder.

    Whether training and test share persons is not known, so they are kept apart. Dates
    do not tell outfits, which are not labelled.
    """
    folder = the_only(root, PLACES)
    found, listed = {}, []
    for split, name in FOLDERS.items():
        file = folder / f"{name}-bbox.txt"
        if not file.exists():
            raise FileNotFoundError(
                f"the list {file} is missing. It says which images of {name} belong to "
                "the dataset, and has their tracklets; copy it there"
            )
        rows = [
            (line, image_in(folder / name, line.match["name"], line.where))
            for line in read_lines(file, LINE, EXAMPLE)
        ]
        listed += [(line.where, path) for line, path in rows]
        found[split] = [_found(line, path) for line, path in rows]
    check_listed(listed)
    return number(found, apart={*FOLDERS} - {"train"})


def _found(line: Line, path: Path) -> Found:
    own = Identifiers(line.match["pid"], line.match["camera"])
    return Found(
        path,
        int(own.person),
        int(own.camera) - 1,
        None,
        own=own,
        tracklet=int(line.match["tracklet"]),
    )


SPEC = DatasetSpec(
    name="deepchange",
    citation="DeepChange (Xu and Zhu, ICCV 2023)",
    source="https://github.com/PengBoXiangShang/deepchange",
    read=read_deepchange,
    counts={"train": (None, 450)},  # the others could not be confirmed
    protocols=(Protocol("same_tracklet_out", "query", "gallery", "same_tracklet_out"),),
    validation="own",
)
