"""Resilience around the loop: checkpoints, logs, signals, bad images, bad steps."""

import contextlib
import signal
from collections.abc import Callable
from pathlib import Path

import jax
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Dataset
from mbnet_jax.data.loader import Loader
from mbnet_jax.models import MBNet
from mbnet_jax.progress import announced
from mbnet_jax.runs.checkpoints import Checkpoints
from mbnet_jax.runs.hold import check_workdir
from mbnet_jax.runs.run_folder import RunFolder
from mbnet_jax.training.interruption import (
    InterruptedTraining,
    Interruption,
    LeftEvaluation,
)
from mbnet_jax.training.logs import Logs
from mbnet_jax.training.plan import Plan
from mbnet_jax.training.start import start
from mbnet_jax.training.step import TrainState
from mbnet_jax.training.votes import Votes


class Session:
    """One start of a run, from `start` to the end, or to a signal or an error.

    To be used in a `with` statement. Every process of a run makes the same calls.
    `validate` maps variables to scores, {"mAP": ..., ...}; None: no validation.
    """

    def __init__(
        self,
        config: ConfigDict,
        dataset: Dataset,
        workdir: Path,
        mesh: Mesh,
        plan: Plan,
        loader: Loader,
    ):
        """Takes what `loop.train` takes, the run's plan and its loader of images."""
        self.validate: Callable[[dict], dict[str, float]] | None = None
        self._config, self._dataset, self._workdir = config, dataset, workdir
        self._mesh, self._plan, self._loader = mesh, plan, loader
        self._votes = Votes(mesh)
        self._stopping = False
        self._exits = contextlib.ExitStack()

    def __enter__(self) -> "Session":
        """Opens the checkpoints; from the first step on, signals end the run."""
        with contextlib.ExitStack() as stack:
            check_workdir(self._workdir)
            self._interruption = stack.enter_context(Interruption())
            self._checkpoints = stack.enter_context(
                Checkpoints(self._workdir, self._config.train.keep)
            )
            self._exits = stack.pop_all()
        return self

    def __exit__(self, *error) -> bool | None:
        """Closes the logs, and waits for checkpoints that are being written."""
        return self._exits.__exit__(*error)

    def start(
        self, model: MBNet, optimizer: optax.GradientTransformation
    ) -> tuple[TrainState, int]:
        """The newest checkpoint or a new state, and its step; see `start.start`."""
        state, self._progress = start(
            self._config,
            self._dataset,
            model,
            optimizer,
            self._checkpoints,
            self._workdir,
            self._mesh,
            self._plan,
        )
        self._shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
        step = int(state.step)
        if self.is_finished(step):
            return state, step
        if jax.process_index() == 0:
            RunFolder.create(self._workdir, self._config, self._dataset)
        logs = Logs(
            self._workdir,
            step=step,
            evaluated=self._progress["evaluated"],
            total=self._plan.total,
            batch_size=self._plan.sampler.batch_size,
            schedule=self._plan.schedule,
            best=self._progress["best_score"],
        )
        self._logs = self._exits.enter_context(contextlib.closing(logs))
        return state, step

    def compiled(self, step: Callable) -> Callable:
        """Compiles a training step, for several processes with a vote to stop."""
        program = self._votes.compiled(step, self._shardings)
        return announced(program, lambda *_: "the training step")

    def is_finished(self, step: int) -> bool:
        """Whether nothing is left to do after `step`."""
        return step >= self._plan.total and not self._is_overdue(step)

    def _is_overdue(self, step: int) -> bool:
        # A signal may have come between the step and its evaluation.
        return self._plan.evaluates(step) and self._progress["evaluated"] < step

    def evaluate_if_overdue(self, step: int, state: TrainState) -> None:
        """Evaluates the state that a run resumes from, if it was stopped before."""
        if self._is_overdue(step):
            self._evaluate(step, state)
            self._checkpoints.save(step, state.parts(), self._progress)

    def log(self, step: int, scalars: dict[str, jax.Array]) -> None:
        """Records a step's scalars, and whether to stop after this step.

        Raises:
          FloatingPointError: after `train.max_bad_steps` bad steps in a row.
        """
        self._stopping = self._votes.decided(
            self._interruption.requested() or self._loader.bad_images.too_many
        )
        self._logs.add(step, scalars)
        saves = self._stopping or self._plan.saves(step)
        # A checkpoint ends a window of averages, so that a resumed run averages over
        # the same steps, and its lines are on disk before it is.
        if saves or self._plan.logs(step):
            self._logs.end_window(step)
        if saves:
            self._logs.write()
        self._check_bad_steps()

    def evaluate(self, step: int, state: TrainState) -> None:
        """Validates the state, if the plan says so and the run is not stopping."""
        if self._plan.evaluates(step) and not self._stopping:
            try:
                self._evaluate(step, state)
            except LeftEvaluation:
                self._stopping = True

    def leave(self) -> None:
        """Called between an evaluation's batches; raises if a signal was received."""
        self._interruption.leave_evaluation()

    def _evaluate(self, step: int, state: TrainState) -> None:
        progress = self._progress | {"evaluated": step}
        if self.validate is None:
            self._progress = progress | {"best_step": step}
            return
        with self._logs.paused():
            scores = self.validate(state.evaluated)
        self._logs.evaluation(step, scores)
        if scores["mAP"] > progress["best_score"]:
            progress |= {"best_step": step, "best_score": scores["mAP"]}
        self._progress = progress

    def save(self, step: int, state: TrainState) -> None:
        """Saves the state, if the plan says so or the run is stopping."""
        if self._stopping or self._plan.saves(step):
            with self._logs.paused():
                self._checkpoints.save(step, state.parts(), self._progress)

    def stop_if_asked(self, step: int) -> None:
        """Ends the run after a signal, or where too many images are unreadable.

        Raises:
          InterruptedTraining, ValueError: the state being saved.
        """
        if self._stopping:
            self._loader.bad_images.check()
            raise InterruptedTraining(
                self._interruption.number or signal.SIGTERM,
                f"stopped at step {step} of {self._plan.total}, saved in "
                f"{self._workdir}; the same command resumes from there",
            )

    def end(self) -> None:
        """Says how the run ended, after its last step."""
        best = self._progress["best_score"]
        scored = f", with a validation mAP of {100 * best:.1f}" if best >= 0 else ""
        self._logs.print(f"best step: {self._progress['best_step']}{scored}")

    def _check_bad_steps(self) -> None:
        limit, streak = self._config.train.max_bad_steps, self._logs.streak
        if streak.length < limit:
            return
        step = streak.end - (streak.length - limit)  # at which the limit was reached
        images = self._plan.sampler.batch(step - 1)
        names = [self._dataset.train.names[image] for image in images]
        newest = self._checkpoints.newest_step()
        raise FloatingPointError(
            f"train.max_bad_steps={limit} steps in a row, up to step {step}, were not "
            f"finite ({', '.join(streak.terms)}); none of them changed the network. "
            f"That step's images: {', '.join(names)}. Lower train.learning_rate or "
            "look at the images and start again: the run resumes from "
            + (f"its checkpoint of step {newest}" if newest else "the beginning")
        )
