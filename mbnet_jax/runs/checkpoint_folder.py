"""A folder of checkpoints, through Orbax: written by a thread, verified when read."""

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from mbnet_jax import schema
from mbnet_jax.devices.placement import place, shardings
from mbnet_jax.runs.checkpoint_content import (
    CONTENT,
    PROGRESS,
    Parts,
    problem_of,
    problem_of_all,
)
from mbnet_jax.runs.checkpoint_files import check_regular, is_step
from mbnet_jax.runs.checkpoint_shapes import find_misfit


class UnreadableError(Exception):
    """A checkpoint cannot be read, or its content is not what was written."""


class MisfitError(ValueError):
    """A checkpoint holds another network than the one that is asked for."""


def _targets(abstract: dict[str, Any], mesh: Mesh, split: bool) -> dict[str, Any]:
    return jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        abstract,
        shardings(abstract, mesh, split=split),
    )


class CheckpointFolder:
    """Checkpoints `<path>/<step>`, the newest `keep` of them.

    A checkpoint appears under its name only when it is complete, and an old one is
    removed only when a new one is complete. Every process of a run makes the same
    calls.
    """

    def __init__(self, path: Path, keep: int, *, create: bool):
        """Opens the folder; with `create`, for writing.

        Only what `checkpoint_files` recognizes may be in it: Orbax deletes.
        """
        self._path = path
        # Saving copies the state before it returns, or protects its buffers from
        # donation: the next step may begin while a thread writes.
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            create=create,
            cleanup_tmp_directories=create,
            enable_async_checkpointing=True,
            # Damage in one checkpoint must not keep the others from being opened.
            lightweight_initialize=True,
        )
        self._manager = ocp.CheckpointManager(path.absolute(), options=options)
        self._saved: set[int] = set()

    def steps(self) -> list[int]:
        """The steps of all checkpoints, also damaged ones and one being written."""
        # Orbax takes a folder "1_0" for step 10.
        return [
            step
            for step in self._manager.all_steps()
            if is_step(str(step))
            and (step in self._saved or (self._path / str(step)).is_dir())
        ]

    def save(self, step: int, content: ocp.args.Composite) -> None:
        """Starts to write what `packed` returned.

        Raises:
          OSError: if this or the previous checkpoint cannot be written.
        """
        _ignore_late_tasks()
        with self._writing():
            self._manager.save(step, args=content, force=True)
        self._saved.add(step)

    def wait(self) -> None:
        """Returns when everything is written.

        Raises:
          OSError: if something could not be.
        """
        with self._writing():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, and ends the folder's threads.

        Raises:
          OSError: if something could not be written.
        """
        with self._writing():
            self._manager.close()

    def read(
        self, step: int, abstract: Parts, mesh: Mesh, *, split: bool
    ) -> tuple[dict[str, Any], dict]:
        """Reads the parts that `abstract` names, and the run's progress.

        The arrays are whole on every device of `mesh`, or with `split` as
        `train.shard_parameters` splits them: then each process reads only its share,
        unless an earlier version wrote the checkpoint.

        Raises:
          UnreadableError: in all processes, if one of them cannot read it.
          MisfitError: if it is sound, and of another network.
        """
        path, abstract = self._path / str(step), dict(abstract)
        problem, misfit, parts, content = None, None, {}, {}
        try:
            check_regular(path)
            content = self._restore(step, {PROGRESS: ocp.args.JsonRestore()})[PROGRESS]
            schema.check(content, CONTENT, PROGRESS)
            if "sums" in content:
                targets = _targets(abstract, mesh, split)
            else:
                targets = jax.tree.map(lambda x: np.empty(x.shape, x.dtype), abstract)
            parts = self._restore(
                step, {n: ocp.args.StandardRestore(t) for n, t in targets.items()}
            )
            problem = problem_of(content, parts, step)
        except (MemoryError, jax.errors.JaxRuntimeError):
            raise  # not the checkpoint's fault
        except Exception as error:  # one kind for each file that can be damaged
            problem = f"is damaged ({_reason(error)})"
            misfit = find_misfit(path, abstract)
        problem = problem_of_all(problem, content, parts, abstract)
        if misfit:
            raise MisfitError(f"{path} {misfit}")
        if problem:
            raise UnreadableError(problem)
        if "sums" not in content:
            parts = place(parts, mesh, split=split)
        return parts, content[PROGRESS]

    def _restore(self, step: int, items: dict[str, Any]) -> dict[str, Any]:
        with _quiet():
            found = self._manager.restore(step, args=ocp.args.Composite(**items))
        return {name: found[name] for name in items}

    def move(self, step: int, target: Path) -> None:
        """Moves a checkpoint out of the folder; process 0's `target` counts."""
        if jax.process_index() == 0:
            target.parent.mkdir(exist_ok=True)
            os.rename(self._path / str(step), target)
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices(f"moved {self._path.name}/{step}")
        self._manager.reload()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        reason = None
        try:
            with _quiet():
                yield
        except Exception as error:  # TensorStore has no exception class of its own
            reason = _reason(error)
        if reason:
            raise OSError(
                f"a checkpoint could not be written in {self._path} ({reason}); "
                "make room there or correct its permissions, and start again: the run "
                "resumes from the last complete checkpoint"
            )


def _reason(error: BaseException) -> str:
    """The first line of the root cause; the middle of a long one is cut out."""
    while error.__cause__:
        error = error.__cause__
    lines = str(error).splitlines() or [""]
    line = f"{type(error).__name__}: {lines[0]}"
    return line if len(line) < 250 else f"{line[:100]} ... {line[-140:]}"


def _ignore_late_tasks() -> None:
    """Never prints that a write ended whose task was given up.

    When the disk is full, one write fails, and the others tell a loop that is closed,
    in threads of TensorStore. The first error is raised, and suffices.
    """
    hook = sys.unraisablehook
    if getattr(hook, "ignores_late_tasks", False):
        return

    def ignoring(event) -> None:
        if str(event.exc_value) != "Event loop is closed":
            hook(event)

    ignoring.ignores_late_tasks = True
    sys.unraisablehook = ignoring


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drops what Orbax's tasks print when one of many failed; the error is raised."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        yield
    except BaseException:
        gc.collect()  # of tasks that nobody awaits
        raise
    finally:
        sys.unraisablehook = hook
