"""The training loop: it schedules; the arithmetic is in `step`."""

from pathlib import Path

import jax
from clu import parameter_overview
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Dataset, Validation
from mbnet_jax.data.loader import Loader
from mbnet_jax.data.sampler import IdentityBalancedSampler
from mbnet_jax.evaluation.embed import embed_split, main_embedding, make_embed
from mbnet_jax.evaluation.measure import Embedded, rank, values_of
from mbnet_jax.models.pretrained import load_pretrained
from mbnet_jax.sharding import check_divisible, replicated
from mbnet_jax.training.accumulation import check_micro_batches, order_on_devices
from mbnet_jax.training.checkpoints import Checkpoints
from mbnet_jax.training.logs import Logs
from mbnet_jax.training.optimizer import make_optimizer, make_schedule
from mbnet_jax.training.run_config import differences, save_config
from mbnet_jax.training.step import TrainState, init_state, make_model, make_train_step

_NOTHING_YET = {"best_step": 0, "best_score": -1.0}


def train(
    config: ConfigDict, dataset: Dataset, workdir: Path, mesh: Mesh
) -> TrainState:
    """Trains to the last epoch, going on from the newest checkpoint in `workdir`.

    Returns the final state. The best, by validation, is in `workdir/best`; without
    validation that is the last.

    Raises:
      ValueError: if a config field does not fit the data, the devices or the run
        that `workdir` holds.
    """
    batch_size = config.train.batch_size
    check_micro_batches(config.train, mesh)
    check_divisible("eval.batch_size", config.eval.batch_size, mesh)
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

    checkpoints = Checkpoints(workdir, config.train.keep)
    model = make_model(config.model, num_classes)
    optimizer = make_optimizer(config.train, steps_per_epoch)
    schedule = make_schedule(config.train, steps_per_epoch)
    state, progress = _start(config, model, optimizer, checkpoints, workdir, mesh)
    start = int(state.step)
    if start >= total:
        print(f"{workdir} is trained to step {start} of {total} already")
        return state
    if jax.process_index() == 0:
        save_config(config, num_classes, workdir)

    train_step = make_train_step(config, model, optimizer, mesh)
    embed = make_embed(config, model, mesh)
    loader = Loader(config.data, mesh)
    order = order_on_devices(batch_size, config.train.accumulate, mesh.size)
    batches = loader.train(dataset.train, sampler, range(start, total), order)
    logs = Logs(workdir, step=start, total=total, batch_size=batch_size)
    try:
        for done, batch in enumerate(batches):
            step = start + done + 1
            state, scalars = train_step(state, batch)
            logs.add(scalars)
            evaluates = step % eval_every == 0 or step == total
            saves = evaluates or step % config.train.checkpoint_every == 0
            # A checkpoint ends a window of averages, so that a resumed run
            # averages over the same steps.
            if saves or step % config.train.log_every == 0:
                logs.end_window(step, learning_rate=float(schedule(step - 1)))
            if saves:
                logs.write()  # a checkpoint's lines are on disk before it is
            if evaluates and dataset.validation is None:
                progress = _NOTHING_YET | {"best_step": step}
                checkpoints.save_best(state, progress)
            elif evaluates:
                scores = _validate(config, dataset.validation, embed, state, loader)
                logs.evaluation(step, scores)
                if scores["mAP"] > progress["best_score"]:
                    progress = {"best_step": step, "best_score": scores["mAP"]}
                    checkpoints.save_best(state, progress)
            if saves:
                checkpoints.save(state, progress)
    finally:
        logs.close()
    return state


def _start(
    config, model, optimizer, checkpoints: Checkpoints, workdir: Path, mesh: Mesh
) -> tuple[TrainState, dict]:
    """The newest checkpoint, or a fresh state with the weights the config names."""

    def init() -> TrainState:
        return init_state(config, model, optimizer)

    newest = checkpoints.latest_step()
    if newest is not None:
        for line in differences(config, workdir):
            print(f"config differs from the saved run's: {line}")
        print(f"going on from step {newest} in {workdir}")
        return checkpoints.restore(newest, jax.eval_shape(init), mesh)
    # Before anything is compiled, since it may refuse.
    loaded = load_pretrained(config.model, jax.eval_shape(init).variables)
    # It runs once: what the compiler would gain it loses four times over.
    once = jax.jit(
        init,
        out_shardings=replicated(mesh),
        compiler_options={"xla_backend_optimization_level": "0"},
    )
    state = once()
    ready = jax.device_put(loaded.variables, replicated(mesh))
    state = state.replace(
        params=state.params | ready["params"],
        batch_stats=state.batch_stats | ready["batch_stats"],
    )
    lines = [parameter_overview.get_parameter_overview(state.params)]
    for backbone, source in loaded.sources.items():
        lines.append(f"{backbone} starts with the weights of {source}")
        print(lines[-1])
    if jax.process_index() == 0:
        (workdir / "parameters.txt").write_text("\n".join(lines) + "\n")
    return state, _NOTHING_YET


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
