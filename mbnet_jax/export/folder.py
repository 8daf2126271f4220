"""A folder that is there whole or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mbnet_jax.files import PART, check_writable
from mbnet_jax.runs.exported import is_exported


def check_out(out: Path) -> None:
    """Refuses a folder that is there and no export, and one that cannot be made.

    Raises:
      ValueError, OSError: naming it, with the remedy.
    """
    if out.exists() and not is_exported(out) and not _is_empty_folder(out):
        raise ValueError(
            f"--out={out} is there, and is no export that could be replaced; give "
            "another --out, or delete it"
        )
    check_writable(out.absolute().parent, "give another --out")


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A new folder to fill. It becomes `out` at the end, in place of what was there.

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
