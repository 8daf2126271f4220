"""CUHK03 as its authors publish it: images in a MATLAB file, the split in another."""

import re
from pathlib import Path

import numpy as np
from scipy import io

from mbnet_jax.data.datasets.cuhk03_unpack import unpack
from mbnet_jax.data.datasets.folders import existing, the_only
from mbnet_jax.data.datasets.lists import check_listed
from mbnet_jax.data.datasets.reading import Found
from mbnet_jax.data.records import Identifiers
from mbnet_jax.files import read_bytes

# Camera pair, person within it, view, image
NAME = re.compile(r"[1-5]_\d+_(?P<view>[12])_\d+\.png", re.ASCII)
SPLITS = ("train", "query", "gallery")
_PLACES = ("", "cuhk03/", "cuhk03_release/", "cuhk03/cuhk03_release/")
_IMAGES = [f"{place}cuhk-03.mat" for place in _PLACES]


def places(kind: str) -> list[str]:
    """Where the split of "detected" or "labeled" images may be."""
    return [f"{place}cuhk03_new_protocol_config_{kind}.mat" for place in _PLACES]


def is_in(root: Path, kind: str) -> bool:
    """Whether `root` has the images of that kind, unpacked or not."""
    return bool(existing(root, [*_IMAGES, *_unpacked(kind)]))


def read_mat(root: Path, kind: str) -> dict[str, list[Found]]:
    """Reads the images of that kind; unpacks them first if nobody has.

    They are unpacked into `images_<kind>` beside the split, as torchreid does.

    Raises:
      FileNotFoundError: the split is missing, or an image that it lists.
      ValueError: a file is damaged.
      OSError: the images cannot be written.
    """
    if not existing(root, places(kind)):
        raise FileNotFoundError(
            f"{root} holds CUHK03 without {places(kind)[0]}. The new protocol's split "
            "comes from https://github.com/zhunzhong07/person-re-ranking; put it into "
            f"{root} or its folder cuhk03. It is not guessed, and the old protocol's "
            "splits are not read: their figures do not compare"
        )
    file = the_only(root, places(kind))
    rows = _read_split(file)
    folders = existing(root, _unpacked(kind))
    if folders:
        images = the_only(root, _unpacked(kind))
    else:
        images = file.with_name(f"images_{kind}")
        unpack(the_only(root, _IMAGES), kind, images)
    found = {
        split: [
            Found(
                images / name,
                person,
                camera - 1,
                None,
                own=Identifiers(f"{person:04d}", str(camera)),
            )
            for name, person, camera, _ in rows[split]
        ]
        for split in SPLITS
    }
    check_listed(
        (f"{file}, {split}_idx, image {index}", images / name)
        for split in SPLITS
        for name, _, _, index in rows[split]
    )
    return found


def _unpacked(kind: str) -> list[str]:
    return [f"{place}images_{kind}" for place in _PLACES]


def _read_split(file: Path) -> dict[str, list[tuple[str, int, int, int]]]:
    """Split -> name, person, camera from 1, and index from 1 of each image."""
    read_bytes(file)  # says in our words why a file cannot be read
    try:
        content = io.loadmat(file)
        names = [str(np.ravel(name)[0]) for name in np.ravel(content["filelist"])]
        persons, cameras = (
            [int(x) for x in np.ravel(content[key])] for key in ("labels", "camId")
        )
        indices = {
            split: [int(x) for x in np.ravel(content[f"{split}_idx"])]
            for split in SPLITS
        }
    except Exception as error:  # SciPy raises of every class
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise ValueError(
            f"{file} is no split of the new protocol ({reason}); get it again"
        ) from error
    if not len(names) == len(persons) == len(cameras):
        raise ValueError(
            f"{file} has {len(names)} names, {len(persons)} persons and "
            f"{len(cameras)} cameras; get it again"
        )
    rows = {}
    for split, numbers in indices.items():
        rows[split] = []
        for index in numbers:  # from 1, as MATLAB counts
            where = f"{file}, {split}_idx, image {index}"
            if not 1 <= index <= len(names):
                raise ValueError(f"{where}: there are {len(names)}; get the file again")
            name, camera = names[index - 1], cameras[index - 1]
            match = NAME.fullmatch(name)
            if not match or int(match["view"]) != camera:
                raise ValueError(
                    f"{where}: expected a name like 1_001_{camera}_01.png, of camera "
                    f"{camera}, not {name[:100]!r}; get the file again"
                )
            rows[split].append((name, persons[index - 1], camera, index))
        rows[split].sort()
    return rows
