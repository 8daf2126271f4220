"""The training loop: `step` has the arithmetic, `session` the resilience around it."""

from collections.abc import Callable
from pathlib import Path

from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Dataset
from mbnet_jax.data.loader import Loader
from mbnet_jax.data.parts import configs_of
from mbnet_jax.runs.network import abstract_variables, make_model
from mbnet_jax.runs.run_folder import num_classes, num_clothes
from mbnet_jax.training.only import check_only
from mbnet_jax.training.optimizer import make_optimizer
from mbnet_jax.training.plan import make_plan
from mbnet_jax.training.session import Session
from mbnet_jax.training.step import TrainState, make_train_step
from mbnet_jax.training.validate import validate_all


def train(
    config: ConfigDict,
    dataset: Dataset,
    workdir: Path,
    mesh: Mesh,
    *,
    loss: Callable | None = None,
) -> TrainState:
    """Trains to the last epoch, resuming from the newest checkpoint in `workdir`.

    Returns the final state. The best, by validation, is in `workdir/best`; without
    validation that is the last. `loss` stands in for `losses.total`.

    Raises:
      ValueError: if a config field does not fit the data, the devices or the run in
        `workdir`, or more than `data.max_bad_images` images are unreadable.
      OSError: if `workdir` cannot be written to.
      FloatingPointError: after `train.max_bad_steps` bad steps in a row.
      InterruptedTraining: after SIGTERM or Ctrl-C, with the state saved.
    """
    plan = make_plan(config, dataset, mesh)
    own = config if dataset.parts else next(iter(configs_of(config).values()))
    loader = Loader(own.data, mesh)
    model = make_model(
        config.model, num_classes(dataset.train), num_clothes(config, dataset.train)
    )
    if only := config.train.get("only", ()):
        check_only(only, abstract_variables(config, model)["params"])
    optimizer = make_optimizer(config.train, plan.schedule, config.model.backbones)
    step_function = make_train_step(
        config, model, optimizer, mesh, plan.classes, loss=loss
    )

    with Session(config, dataset, workdir, mesh, plan, loader) as session:
        state, start = session.start(model, optimizer)
        if session.is_finished(start):
            print(f"{workdir} is trained to step {start} of {plan.total} already")
            return state
        train_step = session.compiled(step_function)
        session.validate = validate_all(config, dataset, model, mesh, session.leave)

        session.evaluate_if_overdue(start, state)
        batches = loader.train(
            dataset.train, plan.sampler, range(start, plan.total), plan.order
        )
        for step, batch in enumerate(batches, start + 1):
            state, scalars = train_step(state, batch)
            session.log(step, scalars)
            session.evaluate(step, state)
            session.save(step, state)
            session.stop_if_asked(step)
        session.end()
    return state
