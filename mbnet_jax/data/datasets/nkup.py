"""NKUP: 15 cameras of a campus; queries are of other days than their gallery."""

import re
from pathlib import Path

from mbnet_jax.data.datasets.folders import the_only
from mbnet_jax.data.datasets.reading import Found, list_images, number
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.data.records import Identifiers, Records

# Person, day, camera, the camera's video of that day, frame
PATTERN = r"(?P<pid>-?\d+)_D\d+_C(?P<camera>\d*[1-9]\d*)S\d+_\d+\.jpg"
FOLDERS = {
    "train": "bounding_box_train",
    "query": "query",
    "gallery": "bounding_box_test",
}
PLACES = ("", "NKUP/")  # its archives have no folder in common


def read_nkup(root: Path) -> Records:
    """Reads `{bounding_box_train,query,bounding_box_test}/PID_DMMDD_CxxSxx_FRAME.jpg`.

    Whether training and test share persons is not known, so they are kept apart. Days
    do not tell outfits, which are not labelled.

    Raises:
      ValueError: an image has a negative person.
    """
    inside = [f"{place}{FOLDERS['train']}" for place in PLACES]
    folder = the_only(root, inside).parent
    found = {
        split: [
            _found(path, m)
            for path, m in list_images(
                folder / subfolder, PATTERN, example="0005_D0912_C03S01_00151.jpg"
            )
        ]
        for split, subfolder in FOLDERS.items()
    }
    return number(found, apart=("query", "gallery"))


def _found(path: Path, match: re.Match[str]) -> Found:
    own = Identifiers(match["pid"], match["camera"])
    if int(own.person) < 0:
        raise ValueError(
            f"{path} has the person {own.person}. NKUP has distractors, but how they "
            "are named is not published, so this may be one, or an image to leave out. "
            "Rename such images to a number that nobody has, which makes them "
            "distractors, or move them away"
        )
    return Found(path, int(own.person), int(own.camera) - 1, None, own=own)


SPEC = DatasetSpec(
    name="nkup",
    citation="NKUP (Wang et al., Int. J. Intell. Syst. 2020)",
    source="https://github.com/nkicsl/NKUP-dataset",
    read=read_nkup,
    counts={"train": (5_336, 40), "query": (332, None), "gallery": (4_070, None)},
    # Its authors' rule is not published. Since a query is never of a day of its
    # matches, they wear other clothes.
    protocols=(Protocol("general", "query", "gallery", "general"),),
)
