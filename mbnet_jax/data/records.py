"""Records: labelled image files, the form in which every dataset is read."""

import contextlib
import gc
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from mbnet_jax.files import printable

# Camera, clothes or tracklet of an image, if a dataset does not label it
UNKNOWN = -1


class Identifiers(NamedTuple):
    """An image's labels as the dataset writes them, to be shown to people.

    Attributes:
      person, camera, clothes: "" where the dataset does not label them. `clothes` only
        distinguishes the outfits of one person.
    """

    person: str = ""
    camera: str = ""
    clothes: str = ""


class Record(NamedTuple):
    """One image file and its labels.

    Attributes:
      path: of the image file.
      pid: the person, or `JUNK`.
      camera: counted from 0, or `UNKNOWN`.
      clothes: one outfit of one person, or `UNKNOWN`. Two persons never share a
        value, even in the same garments.
      parsing_path: of the image's parsing map; None if it has none.
      own: the labels as the dataset writes them.
      tracklet: one sequence of images of one person by one camera, or `UNKNOWN`.
    """

    path: Path
    pid: int
    camera: int
    clothes: int
    parsing_path: Path | None
    own: Identifiers = Identifiers()
    tracklet: int = UNKNOWN


Records = dict[str, list[Record]]


@contextlib.contextmanager
def keeping_all() -> Iterator[None]:
    """Pauses Python's search for garbage, where objects are made to be kept.

    With 200,000 images the search takes 40 % of the time, and finds nothing.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def names_in(root: Path, paths: Iterable[Path]) -> list[str]:
    """The paths relative to `root`, as `os.path.relpath` gives them."""
    start = os.path.join(root, "")
    texts = [*map(str, paths)]
    if all(text.startswith(start) for text in texts) and "/.." not in "".join(texts):
        return [text[len(start) :] for text in texts]
    folders: dict[str, str] = {}  # most files share one with many
    names = []
    for text in texts:
        folder, name = os.path.split(text)
        if folder not in folders:
            folders[folder] = os.path.relpath(folder or ".", root)
        names.append(os.path.normpath(f"{folders[folder]}/{name}"))
    return names


def contiguous(values: Iterable) -> dict:
    """Numbers the distinct `values` from 0 in sorted order: value -> number."""
    return {value: number for number, value in enumerate(sorted(set(values)))}


def some_of(names: Iterable, most: int = 5) -> str:
    """The first names, and how many more follow, for a message."""
    names = [_shortened(printable(str(name))) for name in names]
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _shortened(name: str) -> str:
    return name if len(name) <= 300 else f"{name[:100]}...{name[-100:]}"
