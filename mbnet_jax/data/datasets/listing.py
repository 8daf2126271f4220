"""Listing images on disk: files by a pattern of names, and what is not a file."""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from mbnet_jax.data.records import some_of
from mbnet_jax.files import printable
from mbnet_jax.images import IMAGE_ENDINGS

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def list_images(
    folder: Path, pattern: str, example: str
) -> list[tuple[Path, re.Match[str]]]:
    """Lists the images in `folder` and below, with their names matched.

    Files that are not images (`Thumbs.db`, lists) and what is hidden are ignored. Links
    are followed, but no folder is read twice.

    Args:
      folder: of one split.
      pattern: regular expression that has to match the whole of each path, relative
        to `folder` and written with slashes. `\\d` matches 0 to 9 alone.
      example: a name that matches, for error messages.

    Returns:
      (path, match) in the order of the paths as text, the same on every machine.

    Raises:
      FileNotFoundError: the folder is missing or holds no image.
      ValueError: images have names that do not match or are not UTF-8, are not regular
        files, or a folder is in another through two links.
      OSError: a folder cannot be listed. All messages name the offender.
    """
    if not folder.is_dir():
        raise FileNotFoundError(_missing(folder))
    names, unsure = _walk(folder)
    names.sort()
    if not names:
        raise FileNotFoundError(
            f"{folder} holds no image; expected files like {example}"
        )
    looked_at = [folder / name for name in sorted(unsure)]
    check_regular(looked_at, "images", "Or move them away", of=len(names))
    matches = [*map(re.compile(pattern, re.ASCII).fullmatch, names)]
    odd = [name for name, match in zip(names, matches, strict=True) if match is None]
    if odd:
        raise ValueError(
            f"{folder}: expected names like {example}, but {len(odd)} of "
            f"{len(names)} images are named otherwise: {some_of(odd)}. Move them out "
            "of the folder, or unpack the dataset again"
        )
    return [(folder / m.string, m) for m in matches]


def _walk(folder: Path) -> tuple[list[str], list[str]]:
    """What is named like an image, in `folder` and below, links followed.

    Returns the names relative to `folder`, and those among them that may not be regular
    files. Listing tells of all but links, without a look at each file.
    """
    names, unsure = [], []
    seen: dict[tuple[int, int], Path] = {}
    left = [""]
    while left:
        start = left.pop()
        parent = folder / start
        others = []
        try:
            found = parent.stat()
            with os.scandir(parent) as entries:
                for entry in entries:
                    # A leading dot: what macOS leaves beside an image ("._0001.jpg").
                    if entry.name.startswith("."):
                        continue
                    if not entry.name.lower().endswith(IMAGE_ENDINGS):
                        others.append(entry)
                        continue
                    names.append(start + entry.name)
                    if not entry.is_file(follow_symlinks=False):
                        unsure.append(names[-1])
        except OSError as error:
            raise OSError(
                f"{parent} cannot be listed ({error.strerror}); make it readable, or "
                "move it out of the dataset"
            ) from error
        same = seen.setdefault((found.st_dev, found.st_ino), parent)
        if same != parent:
            raise ValueError(
                f"{parent} and {same} are one folder, through a link; remove the link"
            )
        others.sort(key=lambda entry: entry.name)
        left += [f"{start}{entry.name}/" for entry in others if _is_folder(entry)]
    return names, unsure


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        if entry.is_symlink():
            return stat.S_ISDIR(os.stat(entry.path).st_mode)
        return entry.is_dir()
    except OSError as error:  # a broken link may stand for a person's folder
        raise OSError(
            f"{printable(entry.path)} cannot be read ({error.strerror}); mend or "
            "remove it"
        ) from error


def check_regular(
    paths: Sequence[Path], what: str, remedy: str, of: int | None = None
) -> None:
    """Refuses what is missing, or a folder, a pipe, a device.

    Args:
      paths: links are followed.
      what: what they are, as in "images".
      remedy: what to do, for the message.
      of: how many there are with those that need no check, for the message.

    Raises:
      FileNotFoundError: if all that is wrong is missing.
      ValueError: otherwise.
    """
    wrong = [(path, reason) for path in paths if (reason := _not_regular(path))]
    if not wrong:
        return
    text = f"{len(wrong)} of {of or len(paths)} {what} are "
    if {reason for _, reason in wrong} == {"missing"}:
        missing = some_of(path for path, _ in wrong)
        raise FileNotFoundError(f"{text}missing: {missing}. {remedy}")
    reasons = some_of(f"{printable(path)} ({reason})" for path, reason in wrong)
    raise ValueError(f"{text}not regular files: {reasons}. Replace them. {remedy}")


def _not_regular(path: Path) -> str:
    """Why `path` is not a regular file, as in "a named pipe"; "" if it is one."""
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except FileNotFoundError:
        return "a broken link" if path.is_symlink() else "missing"
    except (OSError, ValueError) as error:  # ValueError: a NUL
        return getattr(error, "strerror", None) or str(error)
    return "" if kind == stat.S_IFREG else _KINDS.get(kind, "of an unknown kind")


def _missing(folder: Path) -> str:
    """Names the first missing folder of the path, and what its parent holds."""
    first = folder
    while not first.parent.is_dir() and first.parent != first:
        first = first.parent
    if os.path.lexists(first):
        return f"{printable(folder)} must be a folder, but {printable(first)} is none"
    present = some_of(sorted(p.name for p in first.parent.iterdir()), most=10)
    return (
        f"looked for {printable(folder)}, but {printable(first)} is missing; "
        f"{printable(first.parent)} holds {present or 'nothing'}"
    )
