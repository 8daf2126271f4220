"""The training loop: it schedules; the arithmetic is in `step`."""

import contextlib
import signal
from pathlib import Path

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Dataset, Validation
from mbnet_jax.data.loader import Loader
from mbnet_jax.data.sampler import IdentityBalancedSampler
from mbnet_jax.devices.mesh import check_divisible
from mbnet_jax.evaluation.embed import embed_split, main_embedding, make_embed
from mbnet_jax.evaluation.measure import Embedded, rank, values_of
from mbnet_jax.runs.checkpoints import Checkpoints
from mbnet_jax.runs.run_folder import save_config
from mbnet_jax.training.accumulation import check_micro_batches, order_on_devices
from mbnet_jax.training.agreement import Agreement
from mbnet_jax.training.clothes import clothes_classes, count_clothes
from mbnet_jax.training.interruption import (
    InterruptedTraining,
    Interruption,
    LeftEvaluation,
)
from mbnet_jax.training.logs import Logs
from mbnet_jax.training.optimizer import make_optimizer, make_schedule
from mbnet_jax.training.start import begin
from mbnet_jax.training.step import TrainState, make_model, make_train_step

# Fields that schedule; 0 would mean never, or nothing kept.
_AT_LEAST_ONE = {
    "train": ("log_every", "checkpoint_every", "keep", "max_bad_steps"),
    "eval": ("every_epochs",),
}


def train(
    config: ConfigDict, dataset: Dataset, workdir: Path, mesh: Mesh
) -> TrainState:
    """Trains to the last epoch, going on from the newest checkpoint in `workdir`.

    Returns the final state. The best, by validation, is in `workdir/best`; without
    validation that is the last.

    Raises:
      ValueError: if a config field does not fit the data, the devices or the run
        that `workdir` holds, or more images than `data.max_bad_images` are bad.
      OSError: if `workdir` cannot be written to.
      FloatingPointError: after `train.max_bad_steps` bad steps in a row.
      InterruptedTraining: after SIGTERM or Ctrl-C, with the state saved.
    """
    batch_size = config.train.batch_size
    check_micro_batches(config.train, mesh)
    check_divisible("eval.batch_size", config.eval.batch_size, mesh)
    for section, names in _AT_LEAST_ONE.items():
        for name in names:
            if config[section][name] < 1:
                raise ValueError(
                    f"{section}.{name}={config[section][name]} must be at least 1"
                )
    sampler = IdentityBalancedSampler(
        dataset.train.pid,
        dataset.train.clothes,
        batch_size=batch_size,
        images_per_identity=config.train.images_per_identity,
        seed=config.seed,
    )
    num_classes = int(dataset.train.pid.max()) + 1
    steps_per_epoch = config.train.steps_per_epoch or max(
        len(dataset.train) // batch_size, 1
    )
    total = config.train.epochs * steps_per_epoch
    eval_every = config.eval.every_epochs * steps_per_epoch

    def evaluates(step: int) -> bool:
        return step % eval_every == 0 or step == total

    classes = clothes_classes(config, dataset.train, steps_per_epoch)
    model = make_model(config.model, num_classes, count_clothes(config, dataset.train))
    optimizer = make_optimizer(config.train, steps_per_epoch)
    with (
        Interruption() as interruption,
        Checkpoints(workdir, config.train.keep) as checkpoints,
    ):
        state, progress = begin(
            config, dataset, model, optimizer, checkpoints, workdir, mesh
        )
        start = int(state.step)
        # A signal may have come between the step and its evaluation.
        overdue = evaluates(start) and progress["evaluated"] < start
        if start >= total and not overdue:
            print(f"{workdir} is trained to step {start} of {total} already")
            return state
        if jax.process_index() == 0:
            save_config(config, dataset, workdir)

        train_step = make_train_step(config, model, optimizer, mesh, classes)
        embed = make_embed(config, model, mesh)
        loader = Loader(config.data, mesh)
        order = order_on_devices(batch_size, config.train.accumulate, mesh.size)
        batches = loader.train(dataset.train, sampler, range(start, total), order)
        agreement = Agreement(mesh)
        logs = Logs(
            workdir,
            step=start,
            evaluated=progress["evaluated"],
            total=total,
            batch_size=batch_size,
            schedule=make_schedule(config.train, steps_per_epoch),
        )

        def embed_unless_stopped(*args):
            interruption.leave_evaluation()
            return embed(*args)

        def evaluate(step: int) -> dict:
            """The progress after the evaluation of the state at `step`."""
            now = progress | {"evaluated": step}
            if dataset.validation is None:
                return now | {"best_step": step}
            scores = _validate(
                config, dataset.validation, embed_unless_stopped, state, loader
            )
            logs.evaluation(step, scores)
            if scores["mAP"] > progress["best_score"]:
                now |= {"best_step": step, "best_score": scores["mAP"]}
            return now

        with contextlib.closing(logs):
            if overdue:
                progress = evaluate(start)
                checkpoints.save(state, progress)
            for step, batch in enumerate(batches, start + 1):
                state, scalars = train_step(state, batch | agreement.question())
                stops = agreement.reached(
                    interruption.requested() or loader.bad_images.too_many, scalars
                )
                logs.add(scalars)
                saves = (
                    stops
                    or evaluates(step)
                    or step % config.train.checkpoint_every == 0
                )
                # A checkpoint ends a window of averages, so that a resumed run
                # averages over the same steps.
                if saves or step % config.train.log_every == 0:
                    logs.end_window(step)
                if saves:
                    logs.write()  # a checkpoint's lines are on disk before it is
                _check_bad_steps(config, dataset, sampler, logs, checkpoints)
                if evaluates(step) and not stops:
                    try:
                        progress = evaluate(step)
                    except LeftEvaluation:
                        stops = True
                if saves:
                    checkpoints.save(state, progress)
                if stops:
                    loader.bad_images.check()
                    raise InterruptedTraining(
                        interruption.number or signal.SIGTERM,
                        f"stopped at step {step} of {total}, saved in {workdir}; the "
                        "same command goes on from there",
                    )
    return state


def _check_bad_steps(
    config,
    dataset: Dataset,
    sampler: IdentityBalancedSampler,
    logs: Logs,
    checkpoints: Checkpoints,
) -> None:
    """Ends the run when its last steps were bad, one after the other."""
    limit = config.train.max_bad_steps
    if logs.bad_in_a_row < limit:
        return
    # The step at which the limit was met; from there on all count as bad.
    step = logs.step - (logs.bad_in_a_row - limit)
    names = [dataset.train.names[image] for image in sampler.batch(step - 1)]
    newest = checkpoints.newest_step()
    raise FloatingPointError(
        f"the loss or its gradient was not finite in train.max_bad_steps={limit} steps "
        f"in a row, up to step {step}; none of them changed the network. That step's "
        f"images: {', '.join(names)}. Lower train.learning_rate or look at the images "
        "and start again: the run goes on from "
        + (f"its checkpoint of step {newest}" if newest else "the beginning")
    )


def _validate(
    config, validation: Validation, embed, state: TrainState, loader: Loader
) -> dict:
    """Rank-1 and mAP on the validation images."""
    images = validation.images
    # Queries are in the gallery too: each image is embedded once.
    rows = embed_split(embed, state.variables, images, loader, config.eval.batch_size)
    embedded = Embedded(images, rows)
    metrics = rank(
        embedded.subset(validation.query),
        embedded.subset(validation.gallery),
        main_embedding(rows),
        validation.rule,
        config.eval.ranks,
    )
    values = values_of(metrics)
    return {key: values[key] for key in ("rank1", "mAP") if key in values}
