"""The embeddings that were computed before: a part of the search's cache."""

import hashlib
import os
import stat
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from mbnet_jax.files import filename_in_errors, opened

VERSION = 2  # of both files; it is part of the folder's name
_CHECK_BYTES = 16
_MOST = 10_000_000  # rows; later ones are computed again
_GROUP = 1000  # rows that a thread checks at a time


class Rows:
    """Embeddings on disk, one row per content; appended to, never rewritten.

    Two files in a folder: `rows.f32`, float32 [n, width], and `keys`, one record per
    row: its key, and 16 bytes of the SHA-256 of key and row. So a row is never taken
    for another's. A row is written before its record, so every record has its row,
    whenever the program is killed. Only one process at a time may add rows.

    Attributes:
      index: key -> index of its row.
    """

    def __init__(self, folder: Path, width: int, key_bytes: int):
        """Opens the files, if they exist; rows have `width` numbers.

        Raises:
          ValueError: naming one that is not a regular file, or too large.
          OSError: naming one that cannot be read.
        """
        with filename_in_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._rows, self._keys = folder / "rows.f32", folder / "keys"
        self._width, self._key_bytes = width, key_bytes
        size, _ = _content(self._rows, 0)
        record = key_bytes + _CHECK_BYTES
        count = size // (4 * width)
        _, keys = _content(self._keys, min(count, _MOST) * record)
        # Ignores a record that was cut off, and one without its row.
        self._count = len(keys) // record
        self._checks: list[bytes] = []
        self.index: dict[bytes, int] = {}
        for i in range(self._count):
            start = i * record
            # If two rows have the same key, the first was damaged.
            self.index[keys[start : start + key_bytes]] = i
            self._checks.append(keys[start + key_bytes : start + record])

    def drop_damaged(self, keys: Iterable[bytes], threads: int) -> int:
        """Drops the keys whose rows are not what was written for them from `index`.

        Args:
          keys: those to check; ones without a row are ignored.
          threads: how many threads check.

        Returns:
          The number of keys that were dropped.
        """
        wanted = [key for key in {*keys} if key in self.index]
        if not wanted:
            return 0
        wanted.sort(key=self.index.__getitem__)  # reads the file in its order
        content, size = memoryview(self._mapped()).cast("B"), 4 * self._width

        def damaged(start: int) -> list[bytes]:
            found = []
            for key in wanted[start : start + _GROUP]:
                row = self.index[key]
                part = content[row * size : (row + 1) * size]
                if self._checks[row] != _check(key, part):
                    found.append(key)
            return found

        with ThreadPoolExecutor(threads) as pool:
            found = [*pool.map(damaged, range(0, len(wanted), _GROUP))]
        dropped = [key for group in found for key in group]
        for key in dropped:
            del self.index[key]
        return len(dropped)

    def add(self, keys: Sequence[bytes], rows: np.ndarray) -> None:
        """Appends rows, float32 [k, width], and their k keys, which must be new.

        Raises:
          ValueError: if there are not k rows of `width` numbers.
          OSError: naming the file that cannot be written to. The row does not count.
        """
        if rows.shape != (len(keys), self._width) or rows.dtype != np.float32:
            raise ValueError(f"{len(keys)} rows of {self._width} float32 were expected")
        checks = [_check(k, row.tobytes()) for k, row in zip(keys, rows, strict=True)]
        records = b"".join(map(bytes.__add__, keys, checks))
        _write(self._rows, self._count * 4 * self._width, rows.tobytes())
        _write(self._keys, self._count * (self._key_bytes + _CHECK_BYTES), records)
        for key, check in zip(keys, checks, strict=True):
            self.index[key] = self._count
            self._checks.append(check)
            self._count += 1

    def features(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns an array with the wanted rows, and where in it each of them is.

        If every row of the file is wanted, the array is the file, mapped into memory;
        otherwise it is a copy of the wanted rows.

        Args:
          indices: int [n], n > 0, values of `index`; one may occur several times.

        Returns:
          float32 [m, width] and int [n].
        """
        mapped = self._mapped()
        wanted, where = np.unique(indices, return_inverse=True)
        if len(wanted) == self._count:
            return mapped, indices
        return mapped[wanted], where

    def _mapped(self) -> np.memmap:
        shape = (self._count, self._width)
        return np.memmap(self._rows, np.float32, "r", shape=shape)


def _check(key: bytes, row: bytes | memoryview) -> bytes:
    """The first bytes of the SHA-256 of a key and its row."""
    digest = hashlib.sha256(key)
    digest.update(row)
    return digest.digest()[:_CHECK_BYTES]


def _content(path: Path, most: int) -> tuple[int, bytes]:
    """A file's size, and up to `most` of its first bytes; (0, b"") if there is none."""
    try:
        with opened(path, 1 << 50) as file:
            return os.fstat(file.fileno()).st_size, file.read(most)
    except FileNotFoundError:
        return 0, b""
    except ValueError as error:  # a pipe, a folder
        raise ValueError(f"the cache cannot be used: {error}; move it out") from error


def _write(path: Path, start: int, data: bytes) -> None:
    """Writes `data` at byte `start`, drops what follows, and waits for the disk."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with (
        filename_in_errors(path),
        open(os.open(path, flags, 0o666), "r+b") as file,
    ):
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{path} is not a regular file; move it out")
        file.truncate(start)
        file.seek(start)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
