"""What names and times say of a dataset's files: whether they are as they were."""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mbnet_jax.data.records import Record, Records, keeping_all, names_in

FORMAT = "2.0.0"  # of the prepared copy
States = dict[str, list[str]]  # split -> a line of text per record


@keeping_all()
def file_states(records: Records, root: Path) -> States:
    """The names, sizes and modification times of each record's image and map.

    Raises:
      FileNotFoundError: a file is no longer there.
    """
    return {split: _states(rows, root) for split, rows in records.items()}


def _states(rows: Sequence[Record], root: Path) -> list[str]:
    lines = _described([row.path for row in rows], root)
    mapped = [n for n, row in enumerate(rows) if row.parsing_path is not None]
    maps = _described([rows[n].parsing_path for n in mapped], root)
    for n, line in zip(mapped, maps, strict=True):
        lines[n] += f"\0{line}"
    return lines


def _described(paths: Sequence[Path], root: Path) -> list[str]:
    found = map(_stat, paths)
    return [
        f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}"
        for name, stat in zip(names_in(root, paths), found, strict=True)
    ]


def _stat(path: Path) -> os.stat_result:
    try:
        return os.stat(path)
    except FileNotFoundError:
        with listed(path):
            raise


@contextlib.contextmanager
def listed(path: Path | None) -> Iterator[None]:
    """Says of a missing file that it was there before."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} was listed, but is missing now; start again once no other program "
            "changes the dataset"
        ) from error


def fingerprint(records: Records, root: Path) -> str:
    """Digest of the files' names, labels, sizes and modification times.

    Raises:
      FileNotFoundError: a file is no longer there.
    """
    return digest(records, file_states(records, root))


def digest(records: Records, states: States) -> str:
    """The fingerprint of records whose files are in `states`."""
    total = hashlib.sha256(FORMAT.encode())
    for split, rows in records.items():
        labels = [
            np.array([getattr(row, label) for row in rows], np.int64)
            for label in ("pid", "camera", "clothes", "tracklet")
        ]
        text = "\0\0".join((split, str(len(rows)), *states[split]))
        total.update(text.encode(errors="surrogateescape"))
        total.update(np.stack(labels).tobytes())
    return total.hexdigest()[:16]
