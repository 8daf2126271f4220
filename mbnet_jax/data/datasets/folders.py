"""Finding a dataset that is unpacked in one of several places."""

import os
from collections.abc import Sequence
from pathlib import Path

from mbnet_jax.data.records import some_of


def existing(root: Path, places: Sequence[str]) -> list[Path]:
    """Those of `places`, relative to `root`, that exist; one path of each."""
    found: list[Path] = []
    for place in places:
        path = root / place
        # Where capitals do not count, two names may be of one folder.
        if path.exists() and not any(path.samefile(other) for other in found):
            found.append(path)
    return found


def the_only(root: Path, places: Sequence[str]) -> Path:
    """The only one of `places`, relative to `root`, that exists.

    Raises:
      FileNotFoundError: none does.
      ValueError: several do.
    """
    found = existing(root, places)
    if len(found) > 1:
        raise ValueError(
            f"{' and '.join(map(str, found))} are both there, and may differ; move one "
            "out of data.root"
        )
    if not found:
        there = sorted(os.listdir(root)) if root.is_dir() else []
        raise FileNotFoundError(
            f"{root} must hold {' or '.join(places)}; it holds "
            f"{some_of(there, most=10) or 'nothing'}"
        )
    return found[0]
