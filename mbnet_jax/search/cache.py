"""What a search keeps on disk: digests of files, and embeddings by digest."""

import hashlib
import os
import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mbnet_jax.search.photographs import Failures, Stamp

_SAVE_EVERY = 1000  # files; an interruption loses no more than that


def digest_of(path: str | Path) -> bytes:
    """Returns the SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


class Digests:
    """An SQLite table: path of a file -> its stamp and digest when it was last read.

    A file with the same stamp is taken to be unchanged. That is wrong only if
    something sets the clock, or writes twice within its smallest step.
    """

    def __init__(self, file: Path, threads: int):
        """Opens or creates `file`; `threads` threads read new files."""
        self._threads = threads
        self._database = sqlite3.connect(file)
        # Paths are bytes: on Linux they need not be valid text.
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, size INTEGER, "
            "modified INTEGER, changed INTEGER, digest BLOB) WITHOUT ROWID"
        )

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def of(
        self, folder: Path, files: Mapping[str, Stamp]
    ) -> tuple[dict[str, bytes], Failures]:
        """Returns the digests of files, reading those that are new or changed.

        Args:
          folder: the folder they are in.
          files: path relative to `folder` -> stamp.

        Returns:
          Path -> digest, in the order of `files`; and the files that cannot be read.
        """
        root = os.path.join(os.fsencode(os.path.realpath(folder)), b"")
        rows = self._database.execute(
            "SELECT * FROM files WHERE path > ? AND path < ?", (root, root[:-1] + b"0")
        )
        known = {row[0]: row for row in rows}
        paths = {name: root + os.fsencode(name) for name in files}
        missing = []
        digests: dict[str, bytes] = {}
        for name, path in paths.items():
            row = known.get(path)
            if row is not None and row[1:4] == files[name]:
                digests[name] = row[4]
            else:
                missing.append(name)
        failures = self._read(missing, paths, files, digests)
        return {name: digests[name] for name in files if name in digests}, failures

    def _read(self, names: list[str], paths, files, digests) -> Failures:
        """Reads the named files and adds their digests to `digests` and the table."""
        failures: Failures = []

        def read(name: str) -> bytes | OSError:
            try:
                return digest_of(os.fsdecode(paths[name]))
            except OSError as error:
                return error

        with (
            ThreadPoolExecutor(self._threads) as pool,
            tqdm(
                total=len(names), desc="reading", unit="file", leave=False, delay=2
            ) as bar,
        ):
            for start in range(0, len(names), _SAVE_EVERY):
                group = names[start : start + _SAVE_EVERY]
                for name, found in zip(group, pool.map(read, group), strict=True):
                    if isinstance(found, OSError):
                        failures.append((name, f"cannot be read: {found.strerror}"))
                    else:
                        digests[name] = found
                    bar.update()
                with self._database:
                    self._database.executemany(
                        "REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
                        [
                            (paths[name], *files[name], digests[name])
                            for name in group
                            if name in digests
                        ],
                    )
        return failures


class Rows:
    """Embeddings on disk, one row per content; appended to, never rewritten.

    Two files in a folder: `rows.f32`, float32 [n, width], and `keys`, one per row. A
    row is written before its key, so every key has its row, whenever the program is
    killed. Only one process at a time may add rows.

    Attributes:
      index: key -> index of its row.
    """

    def __init__(self, folder: Path, width: int, key_bytes: int):
        """Opens the files, if they exist; rows have `width` numbers."""
        folder.mkdir(parents=True, exist_ok=True)
        self._rows, self._keys = folder / "rows.f32", folder / "keys"
        self._width, self._key_bytes = width, key_bytes
        keys = self._keys.read_bytes() if self._keys.is_file() else b""
        size = self._rows.stat().st_size if self._rows.is_file() else 0
        # Ignores a key that was cut off, and one without its row.
        count = min(len(keys) // key_bytes, size // (4 * width))
        ends = range(key_bytes, (count + 1) * key_bytes, key_bytes)
        self.index = {keys[end - key_bytes : end]: i for i, end in enumerate(ends)}
        self._count = count

    def add(self, keys: Sequence[bytes], rows: np.ndarray) -> None:
        """Appends rows, float32 [k, width], and their k keys, which must be new."""
        if rows.shape != (len(keys), self._width) or rows.dtype != np.float32:
            raise ValueError(f"{len(keys)} rows of {self._width} float32 were expected")
        _write(self._rows, self._count * 4 * self._width, rows.tobytes())
        _write(self._keys, self._count * self._key_bytes, b"".join(keys))
        for key in keys:
            self.index[key] = self._count
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
        shape = (self._count, self._width)
        mapped = np.memmap(self._rows, np.float32, "r", shape=shape)
        wanted, where = np.unique(indices, return_inverse=True)
        if len(wanted) == self._count:
            return mapped, indices
        return mapped[wanted], where


def _write(path: Path, start: int, data: bytes) -> None:
    """Writes `data` at byte `start`, drops what follows, and waits for the disk."""
    with open(path, "r+b" if path.exists() else "wb") as file:
        file.truncate(start)
        file.seek(start)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
