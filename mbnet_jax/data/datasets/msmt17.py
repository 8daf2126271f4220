"""MSMT17: 15 cameras, 4,101 persons; faces are masked in its version 2."""

from pathlib import Path

from mbnet_jax.data.datasets.folders import existing, the_only
from mbnet_jax.data.datasets.lists import check_listed, image_in, read_lines
from mbnet_jax.data.datasets.reading import Found, number
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.data.records import Identifiers, Records

# Variant -> the folders of the images to train on and to test with
INSIDE = {"v1": ("train", "test"), "v2": ("mask_train_v2", "mask_test_v2")}
_FOLDERS = ("MSMT17_V1", "MSMT17_V2", "MSMT17", "msmt17")
PLACES = (*_FOLDERS, "msmt17/MSMT17_V1", "msmt17/MSMT17_V2")
# Split -> its list, and which of the two folders the list's paths begin in
LISTS = {
    "train": ("list_train.txt", 0),
    "val": ("list_val.txt", 0),
    "query": ("list_query.txt", 1),
    "gallery": ("list_gallery.txt", 1),
}
EXAMPLE = "0000/0000_000_01_0303morning_0008_0.jpg 0"
LINE = (
    r"(?P<path>(?:.*/)?(?P<pid>\d+)_\d+_(?P<camera>\d*[1-9]\d*)_[^/]*\.jpg)"
    r"\s+(?P<person>\d+)"
)


def find_variants(root: Path) -> list[str]:
    """The variants that are in `root`."""
    return [variant for variant in INSIDE if existing(root, _places(variant))]


def read_msmt17(root: Path, variant: str) -> Records:
    """Reads the images of the four lists that come with the dataset.

    Persons of query and gallery are numbered from 0 again: they are other people than
    those of train. The persons of val are those of train, in other images.
    """
    places = _places(variant) if variant else [p for v in INSIDE for p in _places(v)]
    folder = the_only(root, places).parent
    missing = [file for file, _ in LISTS.values() if not (folder / file).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder} has no {', '.join(missing)}. The four lists come with the "
            "dataset, in the archive of its authors, and say which image is in which "
            "split; they are not guessed from the folders. Copy them there"
        )
    found, listed = {}, []
    for split, (file, place) in LISTS.items():
        images = folder / INSIDE[variant][place]
        rows = [
            (line, image_in(images, line.match["path"], line.where))
            for line in read_lines(folder / file, LINE, EXAMPLE)
        ]
        listed += [(line.where, path) for line, path in rows]
        found[split] = [_found(line.match, path, line.where) for line, path in rows]
    check_listed(listed)
    return number(found, apart=("query", "gallery"))


def _found(match, path: Path, where: str) -> Found:
    person, camera = int(match["person"]), int(match["camera"])
    if int(match["pid"]) != person:
        raise ValueError(
            f"{where}: the image {path.name} is of the person {match['pid']} by its "
            f"name, and of {person} by the list; restore both"
        )
    own = Identifiers(match["pid"], match["camera"])
    return Found(path, person, camera - 1, None, own=own)


def _places(variant: str) -> list[str]:
    """Where the training images of a variant may be."""
    return [f"{place}/{INSIDE[variant][0]}" for place in PLACES]


SPEC = DatasetSpec(
    name="msmt17",
    citation="MSMT17 (Wei et al., CVPR 2018)",
    source="its authors, on request and under an agreement",
    read=read_msmt17,
    counts={
        "train": (30_248, 1_041),
        "val": (2_373, None),
        "query": (11_659, 3_060),
        "gallery": (82_161, 3_060),
    },
    variants=("v1", "v2"),
    find_variants=find_variants,
    protocols=(Protocol("general", "query", "gallery", "general"),),
    validation="own",
)
