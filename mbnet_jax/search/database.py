"""An SQLite file of ours that is rebuilt when it is damaged."""

import contextlib
import os
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from mbnet_jax.files import opened, printable

# In the header of a file that is ours, and so may be replaced; "mbnt".
_OURS = 0x6D626E74
_REMEDY = "move it out, delete it if it is only a cache, or give another --cache"
# What SQLite reports that no damage is the reason of.
_NO_DAMAGE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
}

Result = TypeVar("Result")


class Database:
    """One table in a file, which can be lost: what it holds can be found again.

    A file that is damaged, or of an earlier version, is emptied, if its header or its
    table shows that it is ours. A warning says so.
    """

    def __init__(self, file: Path, table: str, version: int, earlier: str):
        """Opens or creates `file`.

        Args:
          file: the path.
          table: the SQL that creates the table.
          version: of the table.
          earlier: the SQL of a table that had no mark in the file's header.

        Raises:
          ValueError: if `file` is not ours.
          OSError: if it cannot be used. Both name the file.
        """
        self._file, self._table, self._version = file, table, version
        with self._explained():
            old = self._is_earlier(earlier)
            self._connection = sqlite3.connect(file)
            try:
                if old:
                    self._rebuild("is of an earlier version")
                elif self._is_damaged():
                    self._rebuild("is damaged")
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def use(self, action: Callable[[sqlite3.Connection], Result]) -> Result:
        """Returns what `action` returns; repeats it if the table must be rebuilt.

        Raises:
          OSError: naming the file and the reason, if it cannot be used.
        """
        with self._explained():
            try:
                return action(self._connection)
            except sqlite3.Error as error:
                if not _by_damage(error):
                    raise
            self._rebuild("is damaged")
            return action(self._connection)

    def _rebuild(self, why: str) -> None:
        """Empties the file, and creates the table."""
        self.close()
        if os.path.getsize(self._file):
            warnings.warn(
                f"{printable(self._file)} {why}; it is rebuilt, for which every "
                "photograph is read again",
                stacklevel=2,
            )
            os.truncate(self._file, 0)
        self._connection = sqlite3.connect(self._file)
        self._connection.executescript(
            f"BEGIN; PRAGMA application_id = {_OURS}; "
            f"PRAGMA user_version = {self._version}; {self._table}; COMMIT"
        )

    def _is_damaged(self) -> bool:
        """Whether the file, which is ours, holds anything but the table."""
        try:
            found = self._connection.execute("PRAGMA user_version").fetchone()
            return found != (self._version,) or _tables(self._connection) != [
                self._table
            ]
        except sqlite3.Error as error:
            if _by_damage(error):
                return True
            raise

    def _is_earlier(self, table: str) -> bool:
        """Whether the file is ours by its table alone.

        Raises:
          ValueError: naming the file, if it is not ours at all.
        """
        try:
            with opened(self._file, most=1 << 40) as stream:
                header = stream.read(100)
        except FileNotFoundError:
            return False
        except ValueError as error:  # a pipe, a folder
            raise ValueError(
                f"the cache cannot be used: {printable(str(error))}; {_REMEDY}"
            ) from error
        if not header or header[68:72] == _OURS.to_bytes(4, "big"):
            return False
        with contextlib.closing(sqlite3.connect(self._file)) as connection:
            try:
                if _tables(connection) == [table]:
                    return True
            except sqlite3.Error as error:
                if not _by_damage(error):
                    raise
        raise ValueError(
            f"the cache cannot be used: {printable(self._file)} is another program's, "
            f"or its header is damaged; {_REMEDY}"
        )

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OSError(
                f"the cache {printable(self._file)} cannot be used ({error}); free "
                "space, end what locks it, change its permissions, or give another "
                "--cache"
            ) from error


def _tables(connection: sqlite3.Connection) -> list[str]:
    """The SQL of what is in a database."""
    found = connection.execute("SELECT sql FROM sqlite_master LIMIT 9")
    return [sql for (sql,) in found]


def _by_damage(error: sqlite3.Error) -> bool:
    # Text that is no UTF-8 is an error without a code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code == sqlite3.SQLITE_IOERR_SHORT_READ or code & 0xFF not in _NO_DAMAGE
