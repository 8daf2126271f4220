"""The digests of files that were read before: a part of the search's cache."""

import hashlib
import os
import sqlite3
import struct
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mbnet_jax.files import MAX_BYTES, opened
from mbnet_jax.progress import progress
from mbnet_jax.search.database import Database
from mbnet_jax.search.photographs import Failures, Stamp

_SAVE_EVERY = 1000  # files; an interruption loses no more than that
_CHUNK = 1 << 20  # bytes

_VERSION = 2  # of the table
_TABLE = (
    "CREATE TABLE files (path BLOB PRIMARY KEY, size INTEGER, "
    "modified INTEGER, changed INTEGER, digest BLOB, proof BLOB) WITHOUT ROWID"
)
_TABLE_1 = _TABLE.replace(", proof BLOB", "")
_KNOWN = (
    "SELECT path, size, modified, changed, digest, proof FROM files "
    "WHERE path > ? AND path < ? AND typeof(digest) = 'blob' AND length(digest) = 32 "
    "AND typeof(size) = 'integer' AND typeof(modified) = 'integer' "
    "AND typeof(changed) = 'integer' AND typeof(proof) = 'blob' AND length(proof) = 8"
)


def digest_of(path: str | Path) -> bytes:
    """Returns the SHA-256 of a file's bytes.

    Raises:
      ValueError: it is not a regular file, or larger than `MAX_BYTES`.
      OSError: it cannot be read.
    """
    digest, read = hashlib.sha256(), 0
    with opened(Path(path)) as file:
        while chunk := file.read(_CHUNK):
            read += len(chunk)
            if read > MAX_BYTES:
                raise ValueError(f"{path} grows; at most {MAX_BYTES:,} bytes are read")
            digest.update(chunk)
    return digest.digest()


class Digests:
    """An SQLite table: path of a file -> its stamp and digest when it was last read.

    A file with the same stamp is taken to be unchanged. That is wrong only if
    something sets the clock, or writes twice within its smallest step. A row of the
    table that is damaged is ignored, and its file read again.
    """

    def __init__(self, file: Path, threads: int):
        """Opens or creates `file`; `threads` threads read new files.

        Raises:
          ValueError, OSError: naming `file`, as in `Database`.
        """
        self._threads = threads
        self._database = Database(file, _TABLE, _VERSION, _TABLE_1)

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
        known = self._database.use(lambda connection: _known(connection, root))
        paths = {name: root + os.fsencode(name) for name in files}
        missing = []
        digests: dict[str, bytes] = {}
        for name, path in paths.items():
            row, stamp = known.get(path), files[name]
            if (
                row is not None
                and row[1:4] == stamp
                and row[5] == _proof(path, stamp, row[4])
            ):
                digests[name] = row[4]
            else:
                missing.append(name)
        failures = self._read(missing, paths, files, digests)
        return {name: digests[name] for name in files if name in digests}, failures

    def _read(self, names: list[str], paths, files, digests) -> Failures:
        """Reads the named files and adds their digests to `digests` and the table."""
        failures: Failures = []

        def read(name: str) -> bytes | Exception:
            try:
                return digest_of(os.fsdecode(paths[name]))
            except (OSError, ValueError) as error:
                return error

        with (
            ThreadPoolExecutor(self._threads) as pool,
            progress(len(names), "reading", unit="file", leave=False) as bar,
        ):
            for start in range(0, len(names), _SAVE_EVERY):
                group = names[start : start + _SAVE_EVERY]
                for name, found in zip(group, pool.map(read, group), strict=True):
                    if isinstance(found, Exception):
                        why = getattr(found, "strerror", None) or found
                        failures.append((name, f"cannot be read: {why}"))
                    else:
                        digests[name] = found
                    bar.update()
                rows = [
                    (
                        paths[name],
                        *files[name],
                        digests[name],
                        _proof(paths[name], files[name], digests[name]),
                    )
                    for name in group
                    if name in digests and _fits(files[name])
                ]
                self._database.use(
                    lambda connection, rows=rows: _save(connection, rows)
                )
        return failures


def _known(connection: sqlite3.Connection, root: bytes) -> dict[bytes, tuple]:
    """The rows of the files below `root`, by path."""
    return {row[0]: row for row in connection.execute(_KNOWN, (root, root[:-1] + b"0"))}


def _save(connection: sqlite3.Connection, rows: list[tuple]) -> None:
    with connection:
        connection.executemany("REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", rows)


def _fits(stamp: Stamp) -> bool:
    """Whether SQLite can store it; not so for a time in the year 2300."""
    return all(-(1 << 63) <= number < 1 << 63 for number in stamp)


def _proof(path: bytes, stamp: Stamp, digest: bytes) -> bytes:
    """Eight bytes that show that the parts of a row belong together."""
    packed = struct.pack("<qqq", *stamp)
    return hashlib.blake2b(packed + digest + path, digest_size=8).digest()
