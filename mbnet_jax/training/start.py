"""What training starts from: the run's newest checkpoint, or a new network."""

from pathlib import Path

import jax
import optax
from clu import parameter_overview
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.backbones.weights.pretrained import load_pretrained
from mbnet_jax.data import Dataset
from mbnet_jax.devices.placement import place, shardings
from mbnet_jax.files import write_whole
from mbnet_jax.models import MBNet
from mbnet_jax.models.branches import owned_backbones
from mbnet_jax.progress import status
from mbnet_jax.runs.checkpoints import NO_BEST, Checkpoints
from mbnet_jax.runs.header import header, training_splits
from mbnet_jax.runs.run_folder import RunFolder
from mbnet_jax.training.initial import load_initial, load_parser
from mbnet_jax.training.plan import Plan
from mbnet_jax.training.step import TrainState, init_state


def start(
    config: ConfigDict,
    dataset: Dataset,
    model: MBNet,
    optimizer: optax.GradientTransformation,
    checkpoints: Checkpoints,
    workdir: Path,
    mesh: Mesh,
    plan: Plan,
) -> tuple[TrainState, dict]:
    """The newest checkpoint, or a new state with the weights that the config names.

    Prints what the run is made of. Returns the state, whole on every device of `mesh`
    or split over them (`train.shard_parameters`), and the run's progress: what
    `Checkpoints` keeps, and as `evaluated` the step of the newest evaluation.

    Raises:
      ValueError: if the config does not fit the run in `workdir`, or no checkpoint of
        it can be read.
    """

    def init() -> TrainState:
        return init_state(config, model, optimizer)

    abstract = jax.eval_shape(init)
    split = config.train.get("shard_parameters", False)
    epochs = f"{config.train.epochs} epoch{'s' * (config.train.epochs > 1)}"
    print(
        header(
            config,
            training_splits(dataset),
            abstract.params,
            mesh,
            training=f"{plan.total:,} steps of {config.train.batch_size} images, "
            f"{epochs}",
            folder=workdir,
        )
    )
    if checkpoints.newest_step() is not None:
        for line in RunFolder(workdir).check_resume(config, dataset):
            print(f"config differs from the saved run's: {line}")
        restored = checkpoints.resume(abstract.parts(), mesh, split=split)
        state = TrainState.of_parts(restored.parts)
        progress = {"evaluated": 0} | restored.progress
        print(f"resuming from step {restored.step} in {workdir}")
        # Its best may be missing: the run may have been killed just before it.
        checkpoints.save(restored.step, restored.parts, progress)
        return state, progress
    # Before anything is compiled, since it may refuse.
    printed = ()
    if config.model.get("initial", ""):
        loaded = load_initial(config, abstract.variables, mesh)
        printed = loaded.sources  # it has said so
    else:
        loaded = load_pretrained(
            config.model.backbones,
            owned_backbones(model.branches, model.backbones),
            abstract.variables,
        )
    if config.model.get("parser_initial", ""):
        loaded = load_parser(config, abstract.variables, loaded, mesh)
    # It runs once: optimizing it would take four times as long as it saves.
    once = jax.jit(
        init,
        out_shardings=shardings(abstract, mesh, split=split),
        compiler_options={"xla_backend_optimization_level": "0"},
    )
    with status("compiling the initial weights", leave=True):
        state = once()
    state = state.with_variables(place(loaded.variables, mesh, split=split))
    # If parameters are split, no process holds all that a mean needs.
    shown = "sharding" if split else True
    lines = [
        parameter_overview.get_parameter_overview(state.params, include_stats=shown)
    ]
    for module, source in loaded.sources.items():
        lines.append(f"{module} starts with the weights of {source}")
        if module not in printed:
            print(lines[-1])
    if jax.process_index() == 0:
        # First: it shows that the other files are a run's.
        RunFolder.create(workdir, config, dataset)
        write_whole(workdir / "parameters.txt", "\n".join(lines) + "\n")
    return state, NO_BEST | {"evaluated": 0}
