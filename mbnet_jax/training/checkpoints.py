"""Checkpoints through Orbax: the newest few to resume from, and the best."""

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from mbnet_jax.sharding import replicated
from mbnet_jax.training.checksum import checksum
from mbnet_jax.training.step import TrainState

BEST = "best"
NEWEST = "checkpoints"
ASIDE = "set_aside"
# The progress of a run, as far as it is known here, that has no best yet.
NO_BEST = {"best_step": 0, "best_score": -1.0}


class _Place(NamedTuple):
    """One checkpoint on disk: `<folder>/<step>`."""

    folder: str
    step: int

    def __str__(self) -> str:
        return f"{self.folder}/{self.step}"


class _UnreadableError(Exception):
    """A checkpoint cannot be read, or is not what was written."""


class Checkpoints:
    """Folders `checkpoints/<step>` and `best/<step>` of a run.

    A checkpoint is a training state, whose `step` is the data's position too, and
    the run's progress (a JSON dict with the step and the score of the best so far),
    with a checksum of both. A folder appears under its name only when it is
    complete, and an old one goes only when a new one is complete.

    To be used in a `with` statement, whose end waits for what is being written.
    Every process of a run makes the same calls.
    """

    def __init__(self, workdir: Path, keep: int = 1, *, create: bool = True):
        """Opens the run's folders; `keep` newest checkpoints stay beside the best."""
        self._workdir = workdir
        self._managers = {
            folder: self._manager(workdir / folder, count, create)
            for folder, count in ((NEWEST, keep), (BEST, 1))
        }

    @staticmethod
    def _manager(folder: Path, keep: int, create: bool) -> ocp.CheckpointManager:
        # Saving copies the state before it returns, or holds its buffers against
        # donation: the next step may begin while a thread writes.
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            create=create,
            cleanup_tmp_directories=create,
            enable_async_checkpointing=True,
        )
        return ocp.CheckpointManager(folder.absolute(), options=options)

    def __enter__(self) -> "Checkpoints":
        """The checkpoints themselves."""
        return self

    def __exit__(self, *_) -> None:
        """Waits for what is being written."""
        with self._writing():
            for manager in self._managers.values():
                manager.close()

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
            if step in self._managers[place.folder].all_steps():
                continue
            content = content or ocp.args.Composite(
                state=ocp.args.StandardSave(state),
                progress=ocp.args.JsonSave(
                    {"progress": progress, "checksum": checksum(state, progress)}
                ),
            )
            with self._writing():
                # The best goes after its twin is complete. A run that is killed
                # between the two then finds out from the twin that it lacks it.
                self._managers[NEWEST].wait_until_finished()
                self._managers[place.folder].save(step, args=content, force=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        reason = None
        try:
            with _quiet():
                yield
        except Exception as error:  # TensorStore has no kind of its own
            reason = _reason(error)
        if reason:
            raise OSError(
                f"a checkpoint could not be written in {self._workdir} ({reason}); "
                "make room there or correct its permissions, and start again: the run "
                "goes on from the last one that is complete"
            )

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
        if progress["best_step"] not in {found.step, *self._managers[BEST].all_steps()}:
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
            _Place(folder, step)
            for folder, manager in self._managers.items()
            for step in manager.all_steps()
        ]

    def _first_readable(
        self, places: list[_Place], abstract: TrainState, mesh: Mesh
    ) -> tuple[_Place, TrainState, dict, dict[_Place, str]]:
        """The first place that can be read, its content, why those before cannot."""
        unreadable = {}
        for place in places:
            try:
                return place, *self._read(place, abstract, mesh), unreadable
            except _UnreadableError as error:
                unreadable[place] = str(error)
        raise ValueError(
            f"no checkpoint in {self._workdir} that could be used can be read:\n  "
            + "\n  ".join(f"{place} {why}" for place, why in unreadable.items())
            + "\nGive another --workdir, or delete them to begin anew."
        )

    def _read(
        self, place: _Place, abstract: TrainState, mesh: Mesh
    ) -> tuple[TrainState, dict]:
        target = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=replicated(mesh)),
            abstract,
        )
        problem = restored = None
        try:
            with _quiet():
                restored = self._managers[place.folder].restore(
                    place.step,
                    args=ocp.args.Composite(
                        state=ocp.args.StandardRestore(target),
                        progress=ocp.args.JsonRestore(),
                    ),
                )
            progress = restored.progress["progress"]
            if restored.progress["checksum"] != checksum(restored.state, progress):
                problem = "is damaged (its checksum is not that of what was written)"
        except (MemoryError, jax.errors.JaxRuntimeError):
            raise  # no fault of the checkpoint
        except Exception as error:  # one kind for each file that can be damaged
            problem = f"is damaged ({_reason(error)})"
        if jax.process_count() > 1 and np.any(
            multihost_utils.process_allgather(np.array(problem is not None))
        ):
            problem = problem or "cannot be read by another process"
        if problem:
            raise _UnreadableError(problem)
        return restored.state, progress

    def _set_aside(self, place: _Place, reason: str) -> None:
        source = self._workdir / str(place)
        target = self._workdir / ASIDE / f"{place.folder}_{place.step}"
        if jax.process_index() == 0:
            target.parent.mkdir(exist_ok=True)
            number = 1
            while target.exists():
                number += 1
                target = target.with_name(f"{place.folder}_{place.step}_{number}")
            os.rename(source, target)
        print(f"warning: {source} {reason}; it is now {target}")
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices(f"set aside {place}")
        self._managers[place.folder].reload()


def _reason(error: BaseException) -> str:
    """Where TensorStore tells the whole way to a file, how that begins and ends."""
    while error.__cause__:
        error = error.__cause__
    lines = str(error).splitlines() or [""]
    line = f"{type(error).__name__}: {lines[0]}"
    return line if len(line) < 250 else f"{line[:100]} ... {line[-140:]}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drops what Orbax's tasks print when one of many has failed; that is raised."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        yield
    except BaseException:
        gc.collect()  # of tasks that nobody will wait for
        raise
    finally:
        sys.unraisablehook = hook
