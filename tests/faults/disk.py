"""Disks that are full or read-only: small file systems in memory, which need root."""

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.faults.kills import _moments
from tests.faults.place import Place
from tests.faults.rows import Row, Setting

_BALLAST = "ballast"
_FULL = "an error that names the folder and the remedy"


@contextlib.contextmanager
def _mounted(folder: Path, size: str = "64m") -> Iterator[bool]:
    """A file system in memory, mounted at a folder; False where that is forbidden."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)],
        capture_output=True,
    )
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def _skipped(fault: str) -> Row:
    return Row(fault, "", "", "skipped: a file system cannot be mounted here", True)


def _fill(folder: Path) -> None:
    with contextlib.suppress(OSError), (folder / _BALLAST).open("wb", 0) as file:
        while True:
            file.write(bytes(1 << 12))


def full_disk(setting: Setting) -> Iterator[Row]:
    """Fills the disk at a moment; makes room; starts again."""
    moments = _moments(np.random.default_rng(2))
    # The copy of a tiny dataset is written too fast to be met half-way.
    moments["preparation"] = lambda p: p.count("data/synthetic/*/dataset.json") > 0
    for name, side in (
        ("generation", "data"),
        ("preparation", "data"),
        ("training", "run"),
        ("checkpoint", "run"),
        ("final evaluation", "run"),
        ("report", "run"),
    ):
        place = setting.place(data=side == "run")
        folder: Path = getattr(place, side)
        with _mounted(folder) as mounted:
            if not mounted:
                yield _skipped("full disk")
                return
            process = place.begin()
            process.wait_until(lambda m=moments[name], p=place: m(p))
            process.signal(signal.SIGSTOP)  # so that the moment does not pass
            _fill(folder)
            process.signal(signal.SIGCONT)
            ended = process.end()
            (folder / _BALLAST).unlink()
            kept = ended.code == 1 and str(folder) in ended.error
            moment = f"{name} ({side} folder)"
            yield setting.row("full disk", moment, _FULL, ended, kept, place)


def read_only(setting: Setting) -> Iterator[Row]:
    """Starts on a read-only folder; then makes it writable and starts again."""
    for side, moment, ready in (
        ("data", "first start (data folder)", False),
        ("run", "first start (run folder)", False),
        ("data", "data prepared (data folder)", True),
    ):
        place = setting.place()
        folder: Path = getattr(place, side)
        with _mounted(folder) as mounted:
            if not mounted:
                yield _skipped("read-only folder")
                return
            if ready:
                shutil.copytree(setting.whole.data, folder, dirs_exist_ok=True)
            _remount(place, folder, "ro")
            ended = place.begin().end()
            _remount(place, folder, "rw")
            named = ended.code == 1 and str(folder) in ended.error
            promised = "trains" if ready else _FULL
            kept = ended.code == 0 if ready else named
            yield setting.row("read-only", moment, promised, ended, kept, place)


def _remount(place: Place, folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)
