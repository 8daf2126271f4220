"""A page's file may replace an earlier page of the same command, and nothing else."""

from pathlib import Path

from mbnet_jax.files import check_writable, opened


def is_page(path: Path, mark: bytes) -> bool:
    """Whether a file is a page whose template writes `mark` near its start.

    Raises:
      ValueError: if it is not a regular file.
      OSError: if it cannot be read.
    """
    with opened(path, most=1 << 40) as file:
        return mark in file.read(1000)


def check_out(out: Path, mark: bytes, kind: str) -> None:
    """Refuses to replace what is not a page with `mark`.

    Args:
      out: the file to be written.
      mark: as in `is_page`.
      kind: of which pages it is, as in "is no page of a search".

    Raises:
      ValueError, OSError: naming `--out`.
    """
    if out.is_dir():
        raise ValueError(f"--out={out} is a folder; give the page's file")
    check_writable(out.parent, "give another --out")
    try:
        ours = not out.is_symlink() and is_page(out, mark)
    except FileNotFoundError:
        return
    except ValueError:  # a pipe or a device
        ours = False
    if not ours:
        raise ValueError(
            f"--out={out} exists, and is no page of {kind}: it is not replaced; give "
            "another --out, or move it away"
        )
