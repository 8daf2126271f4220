"""Which files and folders in `checkpoints` and `best` this program wrote.

Orbax deletes old checkpoints, and what a killed process left half-written. So anything
else in these folders is refused before Orbax opens them.
"""

import os
import re
from pathlib import Path

from mbnet_jax.files import foreign
from mbnet_jax.json_files import MAX_BYTES

MAX_STEP = 2**31 - 1  # steps are int32
_HALF = ".orbax-checkpoint-tmp"  # in the name of a folder that is being written
_SHOWN = 5

_COMMON = r"_\w+|commit_success\.txt"
_ARRAYS = (
    r"array_metadatas/process_\d+|(?:ocdbt\.process_\d+/)?(?:manifest\.ocdbt|d/\w+)"
)
_OURS = re.compile(
    rf"{_COMMON}|progress/(?:{_COMMON}|metadata)"
    rf"|(?:weights|training)/(?:{_COMMON}|{_ARRAYS})"
)


def check_folder(path: Path) -> None:
    """Refuses what is at `path`, unless it is a folder, or nothing.

    Raises:
      ValueError: naming it.
    """
    if os.path.lexists(path) and not path.is_dir():
        raise ValueError(f"{path} must be a folder, and is none; move it away")


def check_checkpoints(folder: Path) -> None:
    """Refuses a folder in which a checkpoint could be confused with somebody's files.

    Raises:
      ValueError: naming the folder, and what is in it that this program did not write.
    """
    check_folder(folder)
    others = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if is_step(path.name):
            plain = path.is_dir() and not path.is_symlink()
            inside = _foreign(path) if plain else [""]
            others += [os.path.join(path.name, name).rstrip("/") for name in inside]
        elif _means_a_number(path.name):
            others.append(path.name)
    if others:
        shown = ", ".join(map(repr, others[:_SHOWN]))
        more = ", ..." if len(others) > _SHOWN else ""
        raise ValueError(
            f"{folder} holds what this program did not write, where it deletes old "
            f"checkpoints: {shown}{more}; move it out, or give another --workdir"
        )


def check_regular(checkpoint: Path) -> None:
    """Refuses to read a checkpoint in which a named pipe would stop the program.

    Raises:
      ValueError: naming the file.
    """
    for parent, _, names in os.walk(checkpoint):
        for path in (Path(parent, name) for name in names):
            if not path.is_file():
                raise ValueError(f"{path} is not a regular file; replace it")
            # Only arrays are large; Orbax reads the other files whole.
            if path.parent.name != "d" and path.stat().st_size > MAX_BYTES:
                raise ValueError(
                    f"{path} has more than {MAX_BYTES:,} bytes; replace it"
                )


def half_written(folder: Path) -> list[Path]:
    """Folders that Orbax deletes when it opens `folder`, with somebody's files."""
    if not folder.is_dir():
        return []
    paths = [path for path in sorted(folder.iterdir()) if _HALF in path.name]
    return [path for path in paths if not path.is_dir() or _foreign(path)]


def free_name(path: Path) -> Path:
    """The path, or a similar one with a number, at which nothing is."""
    target, number = path, 1
    while os.path.lexists(target):
        number += 1
        target = path.with_name(f"{path.name}_{number}")
    return target


def is_step(name: str) -> bool:
    """Whether a checkpoint's folder may have this name."""
    return bool(re.fullmatch(r"0|[1-9][0-9]{0,9}", name)) and int(name) <= MAX_STEP


def _means_a_number(name: str) -> bool:
    """Whether Orbax takes the name for a step: "1_0", "²", "007"."""
    try:
        int(name[:100])
    except ValueError:
        return name.isdigit()
    return True


def _foreign(checkpoint: Path) -> list[str]:
    """Files in a checkpoint that Orbax does not write there."""
    return [
        name
        for name in foreign(checkpoint, ())
        # Its items, too, have another name while they are written.
        if not _OURS.fullmatch(re.sub(rf"{re.escape(_HALF)}[^/]*", "", name))
    ]
