"""Files that are there whole or not at all, whenever the program is killed."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

PART = ".part"  # the ending of a file that is being written


def write_whole(path: Path, data: bytes | str) -> None:
    """Writes `data` to a `.part` file beside `path`, and renames that."""
    part = path.with_name(f"{path.name}.{os.getpid()}{PART}")
    with naming(path):
        part.write_bytes(data.encode() if isinstance(data, str) else data)
    os.replace(part, path)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds off other processes that would write the same files at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Lets an OSError say which file it is about; that of a full disk does not."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def cache_folder(name: str) -> Path:
    """`~/.cache/mbnet_jax/NAME`, or below `$XDG_CACHE_HOME`; it need not be there.

    Raises:
      RuntimeError: where there is no home.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "mbnet_jax" / name


def check_writable(folder: Path, remedy: str) -> None:
    """Makes `folder`, and tries to write a file there.

    Raises:
      OSError: saying why nothing can be written, and the remedy.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        raise OSError(
            f"{folder} cannot be written to ({error.strerror}); {remedy}"
        ) from error
