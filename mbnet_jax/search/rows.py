"""Embeddings on disk: one row for each content, added to and never rewritten."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np


class Rows:
    """Two files in a folder: `rows.f32`, float32 [n, width], and `keys`, one for each.

    A row is written before its key, so a key that is there has its row, whenever
    the program is killed. Only one process at a time may add rows.
    """

    def __init__(self, folder: Path, width: int, key_bytes: int):
        """Opens the files, if they are there; rows have `width` numbers."""
        folder.mkdir(parents=True, exist_ok=True)
        self._rows, self._keys = folder / "rows.f32", folder / "keys"
        self._width, self._key_bytes = width, key_bytes
        keys = self._keys.read_bytes() if self._keys.is_file() else b""
        size = self._rows.stat().st_size if self._rows.is_file() else 0
        # A key whose writing was cut off does not count, nor one without its row.
        count = min(len(keys) // key_bytes, size // (4 * width))
        ends = range(key_bytes, (count + 1) * key_bytes, key_bytes)
        self.place = {keys[end - key_bytes : end]: i for i, end in enumerate(ends)}
        self._count = count

    def add(self, keys: Sequence[bytes], rows: np.ndarray) -> None:
        """Adds rows [k, width] and their keys, none of which is there."""
        if rows.shape != (len(keys), self._width) or rows.dtype != np.float32:
            raise ValueError(f"{len(keys)} rows of {self._width} float32 were expected")
        _write(self._rows, self._count * 4 * self._width, rows.tobytes())
        _write(self._keys, self._count * self._key_bytes, b"".join(keys))
        for key in keys:
            self.place[key] = self._count
            self._count += 1

    def features(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """An array of rows [m, width], and where in it those of `places` are.

        It is the file itself, mapped into memory, where every row of it is asked for;
        else a copy of those that are.

        Args:
          places: values of `place`, int [n], n > 0, in which one may be repeated.
        """
        shape = (self._count, self._width)
        mapped = np.memmap(self._rows, np.float32, "r", shape=shape)
        wanted, where = np.unique(places, return_inverse=True)
        if len(wanted) == self._count:
            return mapped, places
        return mapped[wanted], where


def _write(path: Path, start: int, data: bytes) -> None:
    """Writes `data` at byte `start`, which ends the file, and waits for the disk."""
    with open(path, "r+b" if path.exists() else "wb") as file:
        file.truncate(start)
        file.seek(start)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
