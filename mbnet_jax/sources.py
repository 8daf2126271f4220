"""Where weights come from: a path on this machine, or an id of the Hugging Face hub."""

import difflib
import os
import re
from pathlib import Path

from mbnet_jax.files import printable

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_OURS = ("runs", "exported")  # the folders of our examples: no owners on the hub


def is_hub_id(source: str) -> bool:
    """Whether `source` has the form of a Hugging Face hub id, "owner/name"."""
    return (
        _HUB_ID.fullmatch(source) is not None
        and ".." not in source
        and "--" not in source
    )


def misspelt(source: str) -> bool:
    """Whether `source`, which does not exist, is a path rather than an id of the hub.

    It is, in `runs` or `exported`, and where a path of nearly this name exists.
    """
    owner = source.partition("/")[0]
    if not is_hub_id(source) or owner in _OURS:
        return True
    return os.path.isdir(owner) and bool(nearest_path(source))


def nearest_path(path: str | Path) -> str:
    """The path that exists and differs least, each part by a few letters; or ""."""
    found = Path()
    for part in Path(path).parts:
        if os.path.lexists(found / part):
            found /= part
            continue
        try:
            names = sorted(os.listdir(found))
        except OSError:
            return ""
        near = difflib.get_close_matches(part, names, n=1, cutoff=0.7)
        if not near:
            return ""
        found /= near[0]
    return str(found)


def did_you_mean(path: str | Path) -> str:
    """The nearest path that exists, for a message; "" if there is none."""
    near = nearest_path(path) if len(str(path)) < 1000 else ""
    return f" (did you mean {printable(near)}?)" if near else ""


def no_such(what: str, path: str | Path) -> str:
    """That `path` does not exist, with the nearest that does.

    Args:
      what: it should be, "folder" or "file".
      path: as the user wrote it.
    """
    name = str(path)
    name = name if name.isprintable() and name.strip() else ascii(name)
    return f"no such {what}: {name}{did_you_mean(path)}"


def check_folder_or_hub(source: str | Path) -> None:
    """Refuses what is neither a path that exists nor an id of the hub; asks no server.

    A path in a folder that exists is none.

    Raises:
      FileNotFoundError: naming the nearest path that exists.
    """
    name = str(source)
    if os.path.lexists(source):
        return
    if is_hub_id(name) and not misspelt(name) and not os.path.isdir(Path(name).parent):
        return
    raise FileNotFoundError(
        f"{no_such('folder', source)}; give the folder of a run, an exported folder, "
        "or a Hugging Face hub id"
    )
