"""A run's checkpoints: the newest few to resume from, and the best."""

import contextlib
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from mbnet_jax.refusals import shown
from mbnet_jax.runs.checkpoint_content import Parts, packed
from mbnet_jax.runs.checkpoint_files import (
    MAX_STEP,
    check_checkpoints,
    check_folder,
    free_name,
    half_written,
)
from mbnet_jax.runs.checkpoint_folder import CheckpointFolder, UnreadableError

BEST = "best"
NEWEST = "checkpoints"
ASIDE = "set_aside"
# The progress of a run without a best checkpoint.
NO_BEST = {"best_step": 0, "best_score": -1.0}


def parse_checkpoint(text: str) -> str | int:
    """What `--checkpoint` names: "best" or a step.

    Raises:
      ValueError: if it is neither.
    """
    if text != BEST and not re.fullmatch(r"[0-9]{1,10}", text):
        raise ValueError(f"--checkpoint={text[:60]!r} must be 'best' or a step")
    return text if text == BEST else int(text)


def check_which(which: str | int) -> None:
    """Refuses what names no checkpoint.

    Raises:
      ValueError: naming it.
    """
    is_number = isinstance(which, int) and not isinstance(which, bool)
    if not (is_number and 0 <= which <= MAX_STEP) and which != BEST:
        raise ValueError(
            f"which={shown(which)} must be 'best', or a step: a whole number from 0 "
            f"to {MAX_STEP:,}"
        )


class Restored(NamedTuple):
    """A checkpoint that was read: its step, its parts, the run's progress."""

    step: int
    parts: dict[str, Any]
    progress: dict


class _Entry(NamedTuple):
    """One checkpoint on disk: `<folder>/<step>`."""

    folder: str
    step: int

    def __str__(self) -> str:
        return f"{self.folder}/{self.step}"


class Checkpoints:
    """Folders `checkpoints/<step>` and `best/<step>` of a run.

    A checkpoint has the parts "weights" (parameters and batch statistics) and
    "training" (counters and the optimizer's state), and the run's progress, a JSON dict
    with the step and the score of the best so far. Each is verified by a checksum. The
    step is the data's position too.

    To be used in a `with` statement, whose end waits for what is being written.
    Every process of a run makes the same calls.
    """

    def __init__(self, workdir: Path, keep: int = 1, *, create: bool = True):
        """Opens the run's folders; `keep` newest checkpoints stay beside the best.

        Raises:
          ValueError: if one is not a folder; with `create`, also if one holds what this
            program did not write. Nothing is then written or deleted.
        """
        self._workdir = workdir
        for name in (NEWEST, BEST, ASIDE):
            check_folder(workdir / name)
        if create:
            for name in (NEWEST, BEST):
                check_checkpoints(workdir / name)
            self._keep_half_written()
        self._folders = {
            name: CheckpointFolder(workdir / name, count, create=create)
            for name, count in ((NEWEST, keep), (BEST, 1))
        }

    def __enter__(self) -> "Checkpoints":
        """Returns the checkpoints themselves."""
        return self

    def __exit__(self, *_) -> None:
        """Waits for what is being written."""
        # If one cannot write, the other is closed all the same.
        with contextlib.ExitStack() as stack:
            for folder in self._folders.values():
                stack.callback(folder.close)

    def save(self, step: int, parts: Parts, progress: dict) -> None:
        """Starts to save a state, in `best` too if `progress["best_step"]` is its step.

        A checkpoint that exists is left alone.

        Raises:
          OSError: if this or the previous checkpoint cannot be written.
        """
        entries = [_Entry(NEWEST, step)]
        if progress["best_step"] == step:
            entries.append(_Entry(BEST, step))
        content = None
        for entry in entries:
            if step in self._folders[entry.folder].steps():
                continue
            # One at a time: of several processes, Orbax's would meet at one barrier.
            # And the best is written after its twin is complete: a run that is killed
            # between the two learns from the twin that its best is missing.
            for folder in self._folders.values():
                folder.wait()
            content = content or packed(step, parts, progress)
            self._folders[entry.folder].save(step, content)

    def newest_step(self) -> int | None:
        """Step of the newest checkpoint, damaged or not; None if there is none."""
        return max((entry.step for entry in self._entries()), default=None)

    def best_step(self) -> int | None:
        """Step of the best checkpoint, damaged or not; None if there is none."""
        return max((e.step for e in self._entries() if e.folder == BEST), default=None)

    def resume(self, abstract: Parts, mesh: Mesh, *, split: bool = False) -> Restored:
        """Reads the newest readable checkpoint, as `CheckpointFolder.read`.

        Later ones, which are damaged, or whose steps will be repeated, are moved to
        `set_aside`, and that is printed.

        Raises:
          ValueError: if none can be read.
        """
        # The best is a checkpoint like any other.
        entries = sorted(self._entries(), key=lambda e: (e.step, e.folder == NEWEST))
        found, restored, unreadable = self._first_readable(
            entries[::-1], abstract, mesh, split
        )
        for entry in entries:
            if entry.step > found.step or entry in unreadable:
                past = f"is past step {found.step}, where the run resumes"
                self._set_aside(entry, unreadable.get(entry, past))
        progress = restored.progress
        if progress["best_step"] not in {found.step, *self._folders[BEST].steps()}:
            progress = progress | NO_BEST  # a checkpoint now set aside had replaced it
        return restored._replace(progress=progress)

    def restore(self, which: str | int, abstract: Parts, mesh: Mesh) -> Restored:
        """Reads "best" or a step, whole on every device of `mesh`.

        If the best is damaged, another checkpoint of the run is read in its place, of
        the same step if possible, and that is printed.

        Raises:
          FileNotFoundError: listing the checkpoints that exist.
          ValueError: if it cannot be read, or `which` is neither.
        """
        check_which(which)
        entries = self._entries()
        best = self.best_step()
        step = best if which == BEST else which
        wanted = [e for e in entries if e.step == step]
        if not wanted:
            steps = sorted({e.step for e in entries})
            raise FileNotFoundError(
                f"no checkpoint {which!r} in {self._workdir}; there are steps "
                f"{steps or 'none'}, best {best}; "
                + ("choose one of them" if steps else "train the run again")
            )
        if which == BEST:
            wanted.sort(key=lambda e: e.folder != BEST)
            wanted += sorted(
                (e for e in entries if e.step != step), key=lambda e: -e.step
            )
        found, restored, unreadable = self._first_readable(
            wanted, abstract, mesh, False
        )
        for entry, reason in unreadable.items():
            print(f"warning: {self._workdir / str(entry)} {reason}; using {found}")
        return restored

    def _entries(self) -> list[_Entry]:
        return [
            _Entry(name, step)
            for name, folder in self._folders.items()
            for step in folder.steps()
        ]

    def _first_readable(
        self, entries: list[_Entry], abstract: Parts, mesh: Mesh, split: bool
    ) -> tuple[_Entry, Restored, dict[_Entry, str]]:
        """The first readable entry, its content, and why those before it failed."""
        unreadable = {}
        for entry in entries:
            folder = self._folders[entry.folder]
            try:
                parts, progress = folder.read(entry.step, abstract, mesh, split=split)
                return entry, Restored(entry.step, parts, progress), unreadable
            except UnreadableError as error:
                unreadable[entry] = str(error)
        raise ValueError(
            f"no usable checkpoint in {self._workdir} can be read:\n  "
            + "\n  ".join(f"{entry} {why}" for entry, why in unreadable.items())
            + "\nGive another --workdir, or delete them to start over."
        )

    def _set_aside(self, entry: _Entry, reason: str) -> None:
        target = free_name(self._workdir / ASIDE / f"{entry.folder}_{entry.step}")
        self._folders[entry.folder].move(entry.step, target)
        print(f"warning: {self._workdir / str(entry)} {reason}; moved to {target}")

    def _keep_half_written(self) -> None:
        """Moves away what Orbax would delete though somebody's files are in it."""
        if jax.process_index():
            return
        for name in (NEWEST, BEST):
            for path in half_written(self._workdir / name):
                target = free_name(self._workdir / ASIDE / f"{name}_{path.name}")
                target.parent.mkdir(exist_ok=True)
                os.rename(path, target)
                print(f"warning: {path} holds other files; moved to {target}")
