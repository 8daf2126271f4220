"""LaST: scenes of films. No cameras, and clothes labels in training only."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mbnet_jax.data.datasets.reading import Found, list_images, number
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.data.records import UNKNOWN, Identifiers, Records, some_of

# Person, number of the image, video, frame, box, clothes. In the test, some names have
# a second underscore behind the person.
PATTERN = r"(?:\d+/)?(?P<pid>\d+)__?\d+_\d+_\d+_\d+_(?P<outfit>\d+)\.jpg"
FOLDERS = {
    "train": "train",
    "val_query": "val/query",
    "val_gallery": "val/gallery",
    "query": "test/query",
    "gallery": "test/gallery",
}
UNLABELLED = 0  # as person, people of whom no query is; as clothes, any


def read_last(folder: Path) -> Records:
    """Reads `train/PID/*.jpg` and `{val,test}/{query,gallery/PID}/*.jpg`.

    The person is that of the name, which in the test is not always the folder's. People
    of training and test are kept apart; a warning says if they share numbers.

    Raises:
      ValueError: an image outside of the galleries has the person 000000.
    """
    found = {
        split: [
            _found(path, m, split == "train")
            for path, m in list_images(
                folder / subfolder, PATTERN, example="000002_000_00009_0134_01_004.jpg"
            )
        ]
        for split, subfolder in FOLDERS.items()
    }
    _check_persons(found)
    return number(found, apart={*FOLDERS} - {"train"})


def _found(path: Path, match: re.Match[str], training: bool) -> Found:
    outfit = int(match["outfit"])
    if training and outfit != UNLABELLED:
        own = Identifiers(match["pid"], "", match["outfit"])
        return Found(path, int(match["pid"]), UNKNOWN, outfit, own=own)
    own = Identifiers(match["pid"])
    return Found(path, int(match["pid"]), UNKNOWN, None, own=own)


def _check_persons(found: Mapping[str, Sequence[Found]]) -> None:
    for split in ("train", "val_query", "query"):
        wrong = [row.path for row in found[split] if row.person == UNLABELLED]
        if wrong:
            raise ValueError(
                f"{len(wrong)} images in {FOLDERS[split]} have the person 000000, "
                "which stands for unlabelled people in the galleries: "
                f"{some_of(wrong)}. Move them away, or unpack the dataset again"
            )
    trained = {row.person: row.own.person for row in found["train"]}
    tested = {row.person for split in ("query", "gallery") for row in found[split]}
    shared = [trained[person] for person in sorted(trained.keys() & tested)]
    if shared:
        print(
            f"warning: last: {len(shared)} persons of train have numbers of persons of "
            f"the test: {some_of(shared)}. They are taken for other people, since "
            "training and test are said to share nobody"
        )


SPEC = DatasetSpec(
    name="last",
    citation="LaST (Shu et al., TCSVT 2022)",
    source="https://github.com/shuxjweb/last",
    folder="last",
    read=read_last,
    # 000000 counts as a person of the galleries.
    counts={
        "train": (71_248, 5_000),
        "val_query": (100, 56),
        "val_gallery": (21_279, 57),
        "query": (10_176, 5_805),
        "gallery": (125_353, 5_807),
    },
    # As its authors and CAL do, who give each image a camera of its own
    protocols=(Protocol("any", "query", "gallery", "any"),),
    partly_labelled=True,
    validation="own",
)
