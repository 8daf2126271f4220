"""Holds a run's folder for one training, and checks what is in it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import jax

from mbnet_jax.devices.cluster import first_process_first
from mbnet_jax.files import check_writable
from mbnet_jax.locks import LOCK, locked
from mbnet_jax.runs.checkpoint_files import check_checkpoints, check_folder
from mbnet_jax.runs.checkpoints import ASIDE, BEST, NEWEST
from mbnet_jax.runs.config_file import FILE, read_config_file

_FOLDERS = (NEWEST, BEST, ASIDE, "events", "eval")
_FILES = ("metrics.jsonl", "parameters.txt")


@contextlib.contextmanager
def held(workdir: Path) -> Iterator[None]:
    """Keeps other trainings out of the folder `workdir`, which is created if need be.

    Every process of a run enters it; process 0 holds the lock.

    Raises:
      BlockingIOError: naming the process that trains there already.
      ValueError: if `workdir` is neither a run's folder nor free for a new run. Nothing
        in it was then changed.
      OSError: if it cannot be written to.
    """
    with contextlib.ExitStack() as stack:

        def hold() -> None:
            check_workdir(workdir)
            check_writable(workdir, "give another --workdir, or make room")
            if jax.process_index() == 0:
                stack.enter_context(locked(workdir, wait=False))

        first_process_first(hold)
        yield


def check_workdir(workdir: Path) -> None:
    """Refuses a folder in which a run would overwrite or delete somebody's files.

    Raises:
      ValueError: naming them, with the remedy.
    """
    if "\0" in str(workdir):
        raise ValueError(f"--workdir={str(workdir)!r} is not a folder's name")
    for name in _FOLDERS:
        check_folder(workdir / name)
    for name in (*_FILES, FILE, LOCK):
        path = workdir / name
        if os.path.lexists(path) and not path.is_file():
            raise ValueError(f"{path} must be a file, and is none; move it away")
    for name in (NEWEST, BEST):
        check_checkpoints(workdir / name)
    if os.path.lexists(workdir / FILE):
        read_config_file(workdir)
        return
    # It is the first file of a new run.
    found = [f"{name}/" for name in _FOLDERS if _has_files(workdir / name)]
    found += [name for name in _FILES if (workdir / name).is_file()]
    if found:
        raise ValueError(
            f"{workdir} holds {', '.join(found)} but no {FILE}, so it cannot be told "
            f"whose they are; restore the run's {FILE}, or give another --workdir"
        )


def _has_files(folder: Path) -> bool:
    return any(names for _, _, names in os.walk(folder))
