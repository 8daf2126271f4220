"""A run's checkpoints: the newest few to resume from, and the best."""

import contextlib
from pathlib import Path
from typing import NamedTuple

from jax.sharding import Mesh

from mbnet_jax.runs.checkpoint_folder import (
    CheckpointFolder,
    UnreadableError,
    packed,
)
from mbnet_jax.training.step import TrainState

BEST = "best"
NEWEST = "checkpoints"
ASIDE = "set_aside"
# The progress of a run, as far as it is known here, that has no best yet.
NO_BEST = {"best_step": 0, "best_score": -1.0}


def which_checkpoint(text: str) -> str | int:
    """What `--checkpoint` names: "best" or a step.

    Raises:
      ValueError: if it is neither.
    """
    if text != BEST and not text.isdigit():
        raise ValueError(f"--checkpoint={text!r} must be 'best' or a step")
    return text if text == BEST else int(text)


class _Place(NamedTuple):
    """One checkpoint on disk: `<folder>/<step>`."""

    folder: str
    step: int

    def __str__(self) -> str:
        return f"{self.folder}/{self.step}"


class Checkpoints:
    """Folders `checkpoints/<step>` and `best/<step>` of a run.

    A checkpoint is a training state, whose `step` is the data's position too, and
    the run's progress (a JSON dict with the step and the score of the best so far),
    with a checksum of both.

    To be used in a `with` statement, whose end waits for what is being written.
    Every process of a run makes the same calls.
    """

    def __init__(self, workdir: Path, keep: int = 1, *, create: bool = True):
        """Opens the run's folders; `keep` newest checkpoints stay beside the best."""
        self._workdir = workdir
        self._folders = {
            name: CheckpointFolder(workdir / name, count, create=create)
            for name, count in ((NEWEST, keep), (BEST, 1))
        }

    def __enter__(self) -> "Checkpoints":
        """The checkpoints themselves."""
        return self

    def __exit__(self, *_) -> None:
        """Waits for what is being written."""
        # If one could not write, the other is closed all the same.
        with contextlib.ExitStack() as stack:
            for folder in self._folders.values():
                stack.callback(folder.close)

    def save(self, state: TrainState, progress: dict) -> None:
        """Saves the state, in `best` too if `progress["best_step"]` is its step.

        What is saved already is left alone. Writing goes on after the call.

        Raises:
          OSError: if this or the checkpoint before cannot be written.
        """
        step = int(state.step)
        places = [_Place(NEWEST, step)]
        if progress["best_step"] == step:
            places.append(_Place(BEST, step))
        content = None
        for place in places:
            if step in self._folders[place.folder].steps():
                continue
            content = content or packed(state, progress)
            # The best goes after its twin is complete. A run that is killed between
            # the two then finds out from the twin that it lacks it.
            self._folders[NEWEST].wait()
            self._folders[place.folder].save(step, content)

    def newest_step(self) -> int | None:
        """Step of the newest checkpoint, damaged or not; None if there is none."""
        return max((place.step for place in self._places()), default=None)

    def resume(self, abstract: TrainState, mesh: Mesh) -> tuple[TrainState, dict]:
        """Reads the newest checkpoint that can be read: state and progress.

        Later ones, damaged or of steps that are about to be made again, are moved
        to `set_aside`, and that is printed.

        Raises:
          ValueError: if none can be read.
        """
        # The best is a checkpoint like any other.
        places = sorted(self._places(), key=lambda p: (p.step, p.folder == NEWEST))
        found, state, progress, unreadable = self._first_readable(
            places[::-1], abstract, mesh
        )
        for place in places:
            if place.step > found.step or place in unreadable:
                past = f"is past step {found.step}, where the run goes on"
                self._set_aside(place, unreadable.get(place, past))
        if progress["best_step"] not in {found.step, *self._folders[BEST].steps()}:
            progress = progress | NO_BEST  # what was set aside had replaced it
        return state, progress

    def restore(
        self, which: str | int, abstract: TrainState, mesh: Mesh
    ) -> tuple[TrainState, dict]:
        """Reads "best" or a step: the state, on every device of `mesh`; progress.

        In place of a best that is damaged, another checkpoint of the run is read,
        if possible of the same step, and that is printed.

        Raises:
          FileNotFoundError: naming the checkpoints that there are.
          ValueError: if it cannot be read.
        """
        places = self._places()
        best = max((p.step for p in places if p.folder == BEST), default=None)
        step = best if which == BEST else which
        wanted = [p for p in places if p.step == step]
        if not wanted:
            steps = sorted({p.step for p in places})
            raise FileNotFoundError(
                f"no checkpoint {which!r} in {self._workdir}; there are steps "
                f"{steps or 'none'}, best {best}"
            )
        if which == BEST:
            wanted.sort(key=lambda p: p.folder != BEST)
            wanted += sorted(
                (p for p in places if p.step != step), key=lambda p: -p.step
            )
        found, state, progress, unreadable = self._first_readable(
            wanted, abstract, mesh
        )
        for place, reason in unreadable.items():
            print(f"warning: {self._workdir / str(place)} {reason}; using {found}")
        return state, progress

    def _places(self) -> list[_Place]:
        return [
            _Place(name, step)
            for name, folder in self._folders.items()
            for step in folder.steps()
        ]

    def _first_readable(
        self, places: list[_Place], abstract: TrainState, mesh: Mesh
    ) -> tuple[_Place, TrainState, dict, dict[_Place, str]]:
        """The first place that can be read, its content, why those before cannot."""
        unreadable = {}
        for place in places:
            try:
                folder = self._folders[place.folder]
                return place, *folder.read(place.step, abstract, mesh), unreadable
            except UnreadableError as error:
                unreadable[place] = str(error)
        raise ValueError(
            f"no checkpoint in {self._workdir} that could be used can be read:\n  "
            + "\n  ".join(f"{place} {why}" for place, why in unreadable.items())
            + "\nGive another --workdir, or delete them to begin anew."
        )

    def _set_aside(self, place: _Place, reason: str) -> None:
        name = f"{place.folder}_{place.step}"
        target, number = self._workdir / ASIDE / name, 1
        while target.exists():
            number += 1
            target = target.with_name(f"{name}_{number}")
        self._folders[place.folder].move(place.step, target)
        print(f"warning: {self._workdir / str(place)} {reason}; it is now {target}")
