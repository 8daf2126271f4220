"""The one place that writes whole files, deletes folders, and reads others' files.

A file that is written is whole or absent after a kill at any moment. Nothing is deleted
that this program did not write.
"""

import contextlib
import errno
import os
import re
import stat
import tempfile
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

PART = ".part"  # the ending of a file that is being written
# More than any photograph or list; a file of weights has a limit of its own.
MAX_BYTES = 256 << 20
# What to do about an error of the system.
_ROOM = {errno.ENOSPC: "free space", errno.EDQUOT: "free space"}
_REMEDIES = _ROOM | {
    errno.EACCES: "correct the permissions",
    errno.EROFS: "correct the permissions",
    errno.EPERM: "correct the permissions",
    errno.EISDIR: "give a file",
    errno.ENOTDIR: "replace the file in the way",
    errno.ELOOP: "remove the link",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EMFILE: "raise the limit of open files",
}


def write_whole(path: Path, data: bytes | str, *, sync: bool = True) -> None:
    """Writes `data` to `path` atomically, through a `.part` file beside it.

    `sync` waits for the disk, so that the file survives a loss of power too.

    Raises:
      OSError: naming the file. Its former content is as it was.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}{PART}")
    with filename_in_errors(path, _REMEDIES):
        try:
            with part.open("wb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def printable(name: str | os.PathLike) -> str:
    """A name in one line of valid text, for messages.

    Bytes that are not UTF-8 become replacement characters; control characters, which a
    terminal would obey, become escapes.
    """
    return "".join(map(_printable, os.fspath(name)))


def _printable(character: str) -> str:
    # Python counts no space but the usual one as printable, as in "山田\u3000太郎".
    is_space = unicodedata.category(character) == "Zs"
    if character.isprintable() or is_space or character == "\ufffd":
        return character
    return "\ufffd" if "\ud800" <= character <= "\udfff" else repr(character)[1:-1]


def encodable(text: str) -> str:
    """The text, with replacement characters for what UTF-8 cannot encode."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


@contextlib.contextmanager
def opened(path: Path, most: int = MAX_BYTES) -> Iterator[BinaryIO]:
    """Opens a file of at most `most` bytes; never waits for a pipe or a device.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is not a regular file, is larger, or its name cannot be one.
      OSError: if it cannot be read. All messages name the file.
    """
    with filename_in_errors(path, _REMEDIES):
        try:
            # Without waiting: opening a named pipe would wait for its writer.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except ValueError as error:  # a NUL
            name = os.fspath(path)
            raise ValueError(f"{name!r} is not a file name: {error}") from error
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise ValueError(f"{path} is a link in a circle; replace it") from error
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise ValueError(f"{path} is not a regular file; replace it")
        with open(descriptor, "rb") as file:
            if found.st_size > most:
                raise ValueError(
                    f"{path} has {found.st_size:,} bytes; at most {most:,} are read"
                )
            yield file


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """Reads a file of at most `most` bytes.

    Raises:
      ValueError, OSError: as in `opened`.
    """
    with opened(path, most) as file:
        data = file.read(most + 1)
        if len(data) > most:
            raise ValueError(f"{path} grows; at most {most:,} bytes are read")
        return data


def file_size(path: Path, flag: str = "") -> int:
    """The bytes of a file that a library will read; opens nothing.

    Args:
      path: of the file.
      flag: what stands before the path in messages, such as "--model=".

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is not a regular file, or its name cannot be one.
      OSError: if it cannot be read.
    """
    what = f"{flag}{path}"
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no such file: {what}") from error
    except ValueError as error:  # a NUL
        raise ValueError(f"{what!r} is not a file name: {error}") from error
    except OSError as error:  # a loop of links
        text = f"{what} cannot be read ({error.strerror}); replace it"
        raise OSError(text) from error
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{what} is not a regular file; replace it")
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{what} cannot be read; correct its permissions")
    return found.st_size


def foreign(folder: Path, ours: Collection[str]) -> list[str]:
    """Files and links below `folder` that `ours` does not name, sorted.

    Paths are relative to `folder`, with slashes.

    Raises:
      OSError: if a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise error

    found = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        linked = [n for n in folders if os.path.islink(os.path.join(parent, n))]
        paths = [Path(parent, name).relative_to(folder) for name in names + linked]
        found += [path.as_posix() for path in paths]
    return sorted({*found} - {*ours})


def delete(folder: Path, ours: Collection[str]) -> None:
    """Deletes `folder`, whose files are all named by `ours`, relative to it.

    Raises:
      FileExistsError: if it is a link, or naming what else is in it. Nothing is then
        deleted.
    """
    if folder.is_symlink():
        raise FileExistsError(
            f"{folder} is a link, which this program did not make; remove it, or give "
            "another folder"
        )
    others = foreign(folder, ours)
    if others:
        shown = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
        raise FileExistsError(
            f"{folder} holds what this program did not write: {shown}; move it out, "
            "or give another folder"
        )
    for parent, folders, names in os.walk(folder, topdown=False):
        for name in names:
            os.unlink(os.path.join(parent, name))
        for name in folders:
            os.rmdir(os.path.join(parent, name))
    os.rmdir(folder)


@contextlib.contextmanager
def filename_in_errors(
    path: Path, remedies: Mapping[int, str] = MappingProxyType(_ROOM)
) -> Iterator[None]:
    """Adds `path` to an OSError; the one of a full disk names no file by itself.

    `remedies` says what to do, by the error's number.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a message of our own
            raise
        reason, remedy = error.strerror or str(error), remedies.get(error.errno, "")
        if remedy and remedy not in reason:  # it may have been added before
            reason = f"{reason}; {remedy}"
        raise OSError(error.errno, reason, str(path)) from error


def cache_folder(name: str) -> Path:
    """Returns `~/.cache/mbnet_jax/NAME`, or the same below `$XDG_CACHE_HOME`.

    The folder may not exist yet.

    Raises:
      FileNotFoundError: if the user has no home directory.
    """
    home = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(home):  # the specification ignores others
        try:
            home = Path.home() / ".cache"
        except RuntimeError as error:
            raise FileNotFoundError(
                "no home directory for the cache; set XDG_CACHE_HOME to a folder"
            ) from error
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
    except (OSError, ValueError) as error:  # ValueError: a NUL
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"{folder} cannot be written to ({reason}); {remedy}") from error
