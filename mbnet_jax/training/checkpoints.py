"""Checkpoints through Orbax: the newest few to resume from, and the best."""

from pathlib import Path

import jax
import orbax.checkpoint as ocp
from jax.sharding import Mesh

from mbnet_jax.sharding import replicated
from mbnet_jax.training.step import TrainState

BEST = "best"


class Checkpoints:
    """Folders `checkpoints/<step>` and `best/<step>` of a run.

    A checkpoint is a training state, whose `step` is the data's position too, and
    the run's progress (a JSON dict: the best score so far and its step). A folder
    appears under its name only when it is complete.
    """

    def __init__(self, workdir: Path, keep: int = 1, *, create: bool = True):
        """Opens the run's folders; `keep` newest checkpoints stay beside the best."""
        self._newest = self._manager(workdir / "checkpoints", keep, create)
        self._best = self._manager(workdir / BEST, 1, create)
        self._workdir = workdir

    @staticmethod
    def _manager(folder: Path, keep: int, create: bool) -> ocp.CheckpointManager:
        # Saving is synchronous: the state's buffers are donated to the next step.
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            create=create,
            cleanup_tmp_directories=create,
            enable_async_checkpointing=False,
        )
        return ocp.CheckpointManager(folder.absolute(), options=options)

    def save(self, state: TrainState, progress: dict) -> None:
        """Saves the state at its step, unless that is saved already."""
        self._save(self._newest, state, progress)

    def save_best(self, state: TrainState, progress: dict) -> None:
        """Saves the state as the best so far."""
        self._save(self._best, state, progress)

    @staticmethod
    def _save(manager, state: TrainState, progress: dict) -> None:
        step = int(state.step)
        if step in manager.all_steps():
            return
        manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state),
                progress=ocp.args.JsonSave(progress),
            ),
        )

    def latest_step(self) -> int | None:
        """Step of the newest checkpoint, None if there is none."""
        return self._newest.latest_step()

    def restore(
        self, which: str | int, abstract: TrainState, mesh: Mesh
    ) -> tuple[TrainState, dict]:
        """Reads "best" or a step: the state, on every device of `mesh`; progress.

        Raises:
          FileNotFoundError: naming the checkpoints that there are.
        """
        manager, step = self._find(which)
        target = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=replicated(mesh)),
            abstract,
        )
        restored = manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(target),
                progress=ocp.args.JsonRestore(),
            ),
        )
        return restored.state, restored.progress

    def _find(self, which: str | int) -> tuple[ocp.CheckpointManager, int]:
        best = self._best.latest_step()
        if which == BEST and best is not None:
            return self._best, best
        for manager in (self._newest, self._best):
            if which in manager.all_steps():
                return manager, which
        steps = sorted({*self._newest.all_steps(), *self._best.all_steps()})
        raise FileNotFoundError(
            f"no checkpoint {which!r} in {self._workdir}; there are steps "
            f"{steps or 'none'}, best {best}"
        )
