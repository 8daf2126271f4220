"""Digests of files' contents, remembered so that unchanged files are not read again."""

import hashlib
import os
import sqlite3
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from mbnet_jax.search.photos import Failures, Stamp

_SAVE_EVERY = 1000  # files, so that an interruption loses little


def digest_of(path: str | Path) -> bytes:
    """SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


class Digests:
    """An SQLite file: path of a file -> its stamp and digest when it was last read.

    A file whose stamp is the same is taken to be the same. That is wrong only where
    something sets the clock, or writes twice within the clock's smallest step.
    """

    def __init__(self, file: Path, threads: int):
        """Opens `file`, or makes it; `threads` read what is new."""
        self._threads = threads
        self._base = sqlite3.connect(file)
        # Paths are bytes: on Linux they need not be text.
        self._base.execute(
            "CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, size INTEGER, "
            "modified INTEGER, changed INTEGER, digest BLOB) WITHOUT ROWID"
        )

    def close(self) -> None:
        """Closes the file."""
        self._base.close()

    def of(
        self, folder: Path, files: Mapping[str, Stamp]
    ) -> tuple[dict[str, bytes], Failures]:
        """Digests of `files`, paths relative to `folder`, in order; and failures."""
        root = os.path.join(os.fsencode(os.path.realpath(folder)), b"")
        rows = self._base.execute(
            "SELECT * FROM files WHERE path > ? AND path < ?", (root, root[:-1] + b"0")
        )
        known = {row[0]: row for row in rows}
        paths = {name: root + os.fsencode(name) for name in files}
        lacking = []
        digests: dict[str, bytes] = {}
        for name, path in paths.items():
            row = known.get(path)
            if row is not None and row[1:4] == files[name]:
                digests[name] = row[4]
            else:
                lacking.append(name)
        failures = self._read(lacking, paths, files, digests)
        return {name: digests[name] for name in files if name in digests}, failures

    def _read(self, names: list[str], paths, files, digests) -> Failures:
        """Adds the digests of files that are to be read."""
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
                with self._base:
                    self._base.executemany(
                        "REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
                        [
                            (paths[name], *files[name], digests[name])
                            for name in group
                            if name in digests
                        ],
                    )
        return failures
