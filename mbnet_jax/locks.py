"""Locks on folders: one process holds a folder, and the others learn which."""

import contextlib
import fcntl
import json
import os
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mbnet_jax.files import filename_in_errors

LOCK = "lock"  # the file that a process locks, in a folder that it holds
_HOLDER = "process "  # what the text in it begins with


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[int]:
    """Holds an exclusive lock on `folder`, which is created if it does not exist.

    Args:
      folder: where the file `lock` is; the file says who holds it.
      wait: whether to wait until another process has released the lock; it is said
        for whom.

    Yields:
      The lock's file descriptor. A child process that inherits it keeps the lock.

    Raises:
      BlockingIOError: naming the holder, if another process holds the lock and `wait`
        is False.
      FileExistsError: if `lock` is somebody's file of that name.
      OSError: naming the folder, if it cannot be written to.
    """
    path = folder / LOCK
    with filename_in_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with filename_in_errors(path):
        # Without waiting, which the opening of a named pipe does.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        lock = os.open(path, flags, 0o666)
    try:
        holder = _lock(lock, path)
        if holder is not None:
            text = f"{folder} is in use by {holder or 'a process'}"
            if not wait:
                raise BlockingIOError(
                    f"{text}; wait for it, end it, or give another folder"
                )
            print(f"{text}; waiting for it", file=sys.stderr)
            with filename_in_errors(path):
                fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, _holder().encode(), 0)
        except OSError as error:
            raise OSError(
                f"{path} cannot be written ({error.strerror}); make room on its disk, "
                "and start again"
            ) from error
        try:
            yield lock
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def _lock(lock: int, path: Path) -> str | None:
    """Locks an open file, or returns who has locked it: "" if that is not known."""
    with filename_in_errors(path):
        ours = stat.S_ISREG(os.fstat(lock).st_mode)
        text = os.pread(lock, 2000, 0).decode(errors="replace") if ours else ""
    if not ours or (text and not text.startswith(_HOLDER)):
        raise FileExistsError(
            f"{path} is not a lock of this program; move it out, or give another folder"
        )
    with filename_in_errors(path):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return text.strip()
    return None


def _holder() -> str:
    command = json.dumps(" ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:500])
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    host = socket.gethostname()
    return f"{_HOLDER}{os.getpid()} on {host} since {since}: {command}"
