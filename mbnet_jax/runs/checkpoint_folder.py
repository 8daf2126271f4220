"""A folder of checkpoints, through Orbax: written by a thread, checked when read."""

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from mbnet_jax.devices.mesh import replicated
from mbnet_jax.runs.checksum import checksum
from mbnet_jax.training.step import TrainState


class UnreadableError(Exception):
    """A checkpoint cannot be read, or is not what was written."""


def packed(state: TrainState, progress: dict) -> ocp.args.Composite:
    """What a folder writes: a state, the run's progress, the checksum of both."""
    return ocp.args.Composite(
        state=ocp.args.StandardSave(state),
        progress=ocp.args.JsonSave(
            {"progress": progress, "checksum": checksum(state, progress)}
        ),
    )


class CheckpointFolder:
    """Checkpoints `<path>/<step>`, the newest `keep` of them.

    One appears under its name only when it is complete, and an old one goes only when
    a new one is complete. Every process of a run makes the same calls.
    """

    def __init__(self, path: Path, keep: int, *, create: bool):
        """Opens the folder; with `create`, to write there."""
        self._path = path
        # Saving copies the state before it returns, or holds its buffers against
        # donation: the next step may begin while a thread writes.
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            create=create,
            cleanup_tmp_directories=create,
            enable_async_checkpointing=True,
        )
        self._manager = ocp.CheckpointManager(path.absolute(), options=options)

    def steps(self) -> list[int]:
        """Which there are, damaged or not; one that is being written counts."""
        return list(self._manager.all_steps())

    def save(self, step: int, content: ocp.args.Composite) -> None:
        """Saves what `packed` returned; writing goes on after the call.

        Raises:
          OSError: if this or the one before cannot be written.
        """
        with self._writing():
            self._manager.save(step, args=content, force=True)

    def wait(self) -> None:
        """Returns when what was saved is written.

        Raises:
          OSError: if it could not be.
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
        self, step: int, abstract: TrainState, mesh: Mesh
    ) -> tuple[TrainState, dict]:
        """The state, on every device of `mesh`, and the progress.

        Raises:
          UnreadableError: in all processes, if one of them cannot read it.
        """
        target = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=replicated(mesh)),
            abstract,
        )
        problem = restored = None
        try:
            with _quiet():
                restored = self._manager.restore(
                    step,
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
            raise UnreadableError(problem)
        return restored.state, progress

    def move(self, step: int, target: Path) -> None:
        """Moves a checkpoint out of the folder; of `target`s, process 0's counts."""
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
        except Exception as error:  # TensorStore has no kind of its own
            reason = _reason(error)
        if reason:
            raise OSError(
                f"a checkpoint could not be written in {self._path} ({reason}); "
                "make room there or correct its permissions, and start again: the run "
                "goes on from the last one that is complete"
            )


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
