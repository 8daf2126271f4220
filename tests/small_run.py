"""Training runs of seconds, with bad steps among them, that several tests share."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Dataset
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.runs.checkpoints import NO_BEST, Checkpoints
from mbnet_jax.runs.run_folder import save_config
from mbnet_jax.training import loop, step
from mbnet_jax.training.optimizer import make_optimizer
from mbnet_jax.training.step import init_state, make_model

# Persons who, in one batch, make the step bad.
BAD_LOSS, BAD_GRADIENT = {0, 1}, {0, 2}
SHARED = ("make_train_step", "make_embed")  # what is compiled once


def small_config(root: Path, **train) -> ConfigDict:
    """12 steps, validated twice, saved after 4, 6, 8 and 12; `train`'s fields.

    The compiled step depends on none of these and on no number of steps.
    """
    c = tiny.tiny_config(root)
    c.seed = 24  # bad steps: three in a row among the first 12, never ten
    c.model.branches = ("global",)
    c.model.backbone = tiny.ONE_BLOCK
    c.model.ktm = False
    c.train.update(epochs=2, steps_per_epoch=6, checkpoint_every=4)
    c.train.update(schedule="step", warmup_epochs=0.0, decay_epochs=(), **train)
    return c


def sometimes_bad(outputs, views, pid, config, *more):
    """The objective; neither loss nor gradient is finite where those persons meet."""
    total, scalars = _objective(outputs, views, pid, config, *more)

    def meet(persons):
        return jnp.all(jnp.any(pid == jnp.array([[p] for p in persons]), axis=1))

    total += jnp.where(meet(BAD_LOSS), jnp.inf, 0)
    # The root of 0 is finite, its slope is not.
    zero = 0 * sum(f.sum() for f in outputs.features.values())
    total += jnp.sqrt(jnp.where(meet(BAD_GRADIENT), zero, 1))
    return total, scalars | {"loss": total}


def one_device() -> Mesh:
    """What the runs are on."""
    return make_mesh(jax.devices()[:1])


_objective = step.objective
_made = {name: tiny.made_once(getattr(loop, name)) for name in SHARED}


def install(patch) -> None:
    """Lets training use that objective, and what was compiled before."""
    patch.setattr(step, "objective", sometimes_bad)
    tiny.know_one_block(patch)
    for name, make in _made.items():
        patch.setattr(loop, name, make)


def save_untrained(config: ConfigDict, dataset: Dataset, workdir: Path) -> None:
    """A run's folder as training leaves it, with the first weights as its best."""
    model = make_model(config.model, int(dataset.train.pid.max()) + 1)
    optimizer = make_optimizer(config.train, steps_per_epoch=1)
    state = jax.jit(lambda: init_state(config, model, optimizer))()
    save_config(config, dataset, workdir)
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(state, NO_BEST)


def assert_same(expected, found) -> None:
    """That two trees are equal to the last bit."""
    jax.tree.map(np.testing.assert_array_equal, expected, found)
