"""A folder that is written completely or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mbnet_jax.files import PART, check_writable
from mbnet_jax.runs.exported import is_exported


def check_out(out: Path) -> None:
    """Checks that `out` can be written, and replaces nothing but an export.

    Raises:
      ValueError, OSError: naming it, with the remedy.
    """
    if out.exists() and not is_exported(out) and not _is_empty_folder(out):
        raise ValueError(
            f"--out={out} exists and is not an export, so it is not replaced; give "
            "another --out, or delete it"
        )
    check_writable(out.absolute().parent, "give another --out")


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yields a new folder to fill, which replaces `out` at the end.

    After an error `out` is as it was.
    """
    part = out.with_name(f"{out.name}.{os.getpid()}{PART}")
    before = part.with_suffix(".old")
    part.mkdir()
    try:
        yield part
        if out.exists():
            out.rename(before)
        part.rename(out)
    except BaseException:
        if before.exists():
            before.rename(out)
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(before, ignore_errors=True)
