"""Training runs of seconds, some of whose steps are bad, that several tests share."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from hurry import in_a_hurry
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax import losses
from mbnet_jax.data import Dataset
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.runs.checkpoints import NO_BEST, Checkpoints
from mbnet_jax.runs.network import make_model
from mbnet_jax.runs.run_folder import RunFolder
from mbnet_jax.training import loop, validate
from mbnet_jax.training.optimizer import make_optimizer
from mbnet_jax.training.step import init_state

# Persons who, in one batch, make the step bad.
BAD_LOSS, BAD_GRADIENT = {0, 1}, {0, 2}
BAD_TERM = "triplet/global"  # of the loss
SHARED = ((loop, "make_train_step"), (validate, "make_embed"))  # compiled once


def small_config(root: Path, **train) -> ConfigDict:
    """12 steps, validated twice, saved after 4, 6, 8 and 12; `train`'s fields.

    The compiled step depends on none of these and on no number of steps.
    """
    c = tiny.tiny_config(root)
    c.seed = 24  # bad steps: three in a row among the first 12, never ten
    c.model.branches = ("global",)
    tiny.set_backbones(c, name=tiny.ONE_BLOCK)
    c.model.ktm = False
    c.train.update(epochs=2, steps_per_epoch=6, checkpoint_every=4)
    c.train.update(schedule="step", warmup_epochs=0.0, decay_epochs=(), **train)
    return c


def sometimes_bad(outputs, targets, pid, config, *more):
    """The loss; `BAD_TERM` is infinite with some persons, the gradient with others."""
    total, scalars = losses.total(outputs, targets, pid, config, *more)

    def meet(persons):
        return jnp.all(jnp.any(pid == jnp.array([[p] for p in persons]), axis=1))

    infinite = jnp.where(meet(BAD_LOSS), jnp.inf, 0)
    # The root of 0 is finite, its slope is not.
    zero = 0 * sum(f.sum() for f in outputs.features.values())
    total += infinite + jnp.sqrt(jnp.where(meet(BAD_GRADIENT), zero, 1))
    return total, scalars | {"loss": total, BAD_TERM: scalars[BAD_TERM] + infinite}


def train(config: ConfigDict, dataset: Dataset, workdir: Path, mesh: Mesh):
    """Trains with that loss; returns the final state.

    All such runs are compiled in a hurry, so that their bits are the same.
    """
    with in_a_hurry():
        return loop.train(config, dataset, workdir, mesh, loss=sometimes_bad)


def one_device() -> Mesh:
    """The mesh of the runs."""
    return make_mesh(jax.devices()[:1])


_made = [(owner, name, tiny.made_once(getattr(owner, name))) for owner, name in SHARED]


def install(patch) -> None:
    """Lets training use what was compiled before."""
    tiny.know_one_block(patch)
    for owner, name, make in _made:
        patch.setattr(owner, name, make)


def save_untrained(config: ConfigDict, dataset: Dataset, workdir: Path) -> None:
    """Writes a run's folder as training does, its initial weights as the best."""
    model = make_model(config.model, int(dataset.train.pid.max()) + 1)
    optimizer = make_optimizer(config.train, lambda step: 0.0)
    state = jax.jit(lambda: init_state(config, model, optimizer))()
    RunFolder.create(workdir, config, dataset)
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(0, state.parts(), NO_BEST)


def assert_same(expected, found) -> None:
    """Compares two trees, bit by bit."""
    jax.tree.map(np.testing.assert_array_equal, expected, found)
