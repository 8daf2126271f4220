"""The photographs in a folder and its sub-folders, with what tells of a change."""

import os
from pathlib import Path
from typing import NamedTuple

from mbnet_jax.images import IMAGE_ENDINGS

Failures = list[tuple[str, str]]  # file or folder, and why it cannot be used


class Stamp(NamedTuple):
    """A file's size in bytes, and times of its last change in nanoseconds.

    `changed` is that of its status, which a copy that keeps `modified` sets too.
    """

    size: int
    modified: int
    changed: int


def stamp(stat: os.stat_result) -> Stamp:
    """What of a file's status tells that its content may have changed."""
    return Stamp(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def list_photos(
    folder: Path, without: Path | None = None
) -> tuple[dict[str, Stamp], Failures]:
    """Photographs in `folder`, sorted: path relative to it -> stamp; and failures.

    Photographs are known by their ending. Hidden files and folders are left out, and
    so are the folder `without` (of parsing maps) and links to folders, which may
    lead in circles.

    Raises:
      FileNotFoundError: if there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    without_name = None if without is None else os.path.realpath(without)
    found: dict[str, Stamp] = {}
    failures: Failures = []
    waiting = [("", os.fspath(folder))]
    while waiting:
        prefix, path = waiting.pop()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    name = prefix + entry.name
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if os.path.realpath(entry.path) != without_name:
                            waiting.append((f"{name}/", entry.path))
                    elif entry.name.lower().endswith(IMAGE_ENDINGS):
                        try:
                            found[name] = stamp(entry.stat())
                        except OSError as error:  # a link to nothing
                            failures.append((name, error.strerror))
        except OSError as error:
            failures.append((prefix or path, f"cannot be listed: {error.strerror}"))
    return dict(sorted(found.items())), failures
