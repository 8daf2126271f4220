"""A folder that is written completely or not at all."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mbnet_jax.files import PART, check_writable, delete, foreign
from mbnet_jax.locks import LOCK, locked
from mbnet_jax.runs.exported import is_exported, listed

_OLD = ".old"
# What an export writes into its folder, also half-written.
_WRITTEN = re.compile(
    r"(?:lock|(?:config|calibration)\.json|README\.md|model\.safetensors|embed\w*\.(?:stablehlo|onnx))"
    rf"(?:\.\d+{re.escape(PART)})?"
)


def resolved(out: Path) -> Path:
    """`out` without links, if it can be the folder of an export.

    Raises:
      ValueError: naming it, with the remedy.
    """
    try:
        folder = Path(os.path.realpath(out))
    except ValueError as error:  # a NUL
        raise ValueError(f"--out={str(out)!r} is not a file name: {error}") from error
    current = Path.cwd()
    if folder == current or folder in current.parents:
        raise ValueError(
            f"--out={out} is the current folder, or holds it, so it cannot be "
            "replaced; give a folder in it"
        )
    return folder


def check_out(out: Path) -> None:
    """Checks that `out` can be written, and replaces nothing but an export.

    Raises:
      ValueError, OSError: naming what is in the way, with the remedy.
    """
    if os.path.lexists(out) and not is_exported(out) and not _is_empty_folder(out):
        raise ValueError(
            f"--out={out} exists and is not an export, so it is not replaced; give "
            "another --out, or move it away"
        )
    if is_exported(out):
        _check_ours(out)
    check_writable(out.parent, "give another --out")


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _check_ours(export: Path) -> list[str]:
    """The names of the files in an export, which this program wrote.

    Raises:
      ValueError: naming others, or those that were changed since.
    """
    ours = listed(export)
    found = foreign(export, ())
    others = [name for name in found if not ours.get(name)]
    if others:
        shown = ", ".join(map(repr, others[:5])) + (", ..." if len(others) > 5 else "")
        raise ValueError(
            f"{export} holds files that its export did not write, or that were changed "
            f"since: {shown}; move them out, or give another --out"
        )
    return found


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yields a new folder to fill, which replaces `out` at the end.

    Until then it is `<out>.part`; an earlier export is `<out>.old` for a moment. After
    an error `out` is as it was; after a kill, the next export puts it back.

    Args:
      out: what `resolved` returned.

    Raises:
      BlockingIOError: if another process exports to `out`.
      ValueError: if one of these folders holds somebody's files.
    """
    part, old = (out.with_name(out.name + ending) for ending in (PART, _OLD))
    _left_over(part)
    with locked(part, wait=False):
        try:
            _restore(out, old)
            for name in _left_over(part):
                if name != LOCK:
                    (part / name).unlink()
            yield part
            if out.exists():
                out.rename(old)
            (part / LOCK).unlink()
            part.rename(out)
        except BaseException:
            if old.exists() and not out.exists():
                old.rename(out)
            if part.exists():
                delete(part, _left_over(part))
            raise
    if old.exists():
        delete(old, _check_ours(old) if is_exported(old) else ())


def _left_over(part: Path) -> list[str]:
    """The files that a killed export left in `part`.

    Raises:
      ValueError: if there are others, or `part` is not a folder.
    """
    if os.path.lexists(part) and (part.is_symlink() or not part.is_dir()):
        raise ValueError(f"{part} is in the way; move it away, or give another --out")
    found = foreign(part, ()) if part.is_dir() else []
    others = [name for name in found if not _WRITTEN.fullmatch(name)]
    if others:
        raise ValueError(
            f"{part} holds what no export writes: {', '.join(map(repr, others[:5]))}; "
            "move it away, or give another --out"
        )
    return found


def _restore(out: Path, old: Path) -> None:
    """Puts back, or deletes, an earlier export that a killed one has moved away."""
    if not os.path.lexists(old):
        return
    if _is_empty_folder(old):
        old.rmdir()
        return
    if not is_exported(old) or old.is_symlink():
        raise ValueError(f"{old} is in the way; move it away, or give another --out")
    if out.exists():
        delete(old, _check_ours(old))
    else:
        old.rename(out)
        print(f"put back {out}, which a killed export had moved to {old}")
