"""Writing files so that a kill at any moment leaves each of them whole or absent."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

PART = ".part"  # the ending of a file that is being written


def write_whole(path: Path, data: bytes | str) -> None:
    """Writes `data` to `path` atomically, through a `.part` file beside it."""
    part = path.with_name(f"{path.name}.{os.getpid()}{PART}")
    with filename_in_errors(path):
        part.write_bytes(data.encode() if isinstance(data, str) else data)
    os.replace(part, path)


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[int]:
    """Holds an exclusive lock on `folder`, which is created if it does not exist.

    Args:
      folder: where the file `lock` is.
      wait: whether to wait until another process has released the lock.

    Yields:
      The lock's file descriptor. A child process that inherits it keeps the lock.

    Raises:
      BlockingIOError: if another process holds the lock and `wait` is False.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield lock.fileno()


@contextlib.contextmanager
def filename_in_errors(path: Path) -> Iterator[None]:
    """Adds `path` to an OSError; the one of a full disk names no file by itself."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def cache_folder(name: str) -> Path:
    """Returns `~/.cache/mbnet_jax/NAME`, or the same below `$XDG_CACHE_HOME`.

    The folder may not exist yet.

    Raises:
      RuntimeError: if the user has no home directory.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "mbnet_jax" / name


def check_writable(folder: Path, remedy: str) -> None:
    """Creates `folder` if need be, and tries to write a file in it.

    Raises:
      OSError: with the reason and the remedy, if nothing can be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        raise OSError(
            f"{folder} cannot be written to ({error.strerror}); {remedy}"
        ) from error
