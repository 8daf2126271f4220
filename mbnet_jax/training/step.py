"""The training step: a pure function of state and batch."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax import losses
from mbnet_jax.devices.mesh import batch_sharding, replicated
from mbnet_jax.devices.placement import gathering
from mbnet_jax.models import BRANCHES, MBNet
from mbnet_jax.models.branches import views_of_branches
from mbnet_jax.runs.network import init_variables
from mbnet_jax.training.accumulation import micro_batches
from mbnet_jax.training.augment import augment, example_keys, path_keys
from mbnet_jax.training.clothes import ClothesClasses
from mbnet_jax.training.gradients import sums_of_squares
from mbnet_jax.training.only import changed_in, with_gradients_of
from mbnet_jax.training.predicted_maps import exchange_function
from mbnet_jax.training.state import TrainState, averaged
from mbnet_jax.views import Targets, make_targets, make_views, normalise

Batch = dict[str, jax.Array]
Scalars = dict[str, jax.Array]
# (batch, a key for each row, the network's variables) -> the views of the augmented
# batch, and the targets.
Prepare = Callable[[Batch, jax.Array, dict], tuple[dict[str, jax.Array], Targets]]


def init_state(
    config: ConfigDict, model: MBNet, optimizer: optax.GradientTransformation
) -> TrainState:
    """A new state; to be called under `jit` or `eval_shape`."""
    variables = init_variables(config, model)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        bad_steps=jnp.zeros((), jnp.int32),
        bad_in_a_row=jnp.zeros((), jnp.int32),
        **variables,
        opt_state=optimizer.init(variables["params"]),
        average=variables["params"] if config.train.get("ema", 0.0) else None,
    )


def make_prepare(config: ConfigDict, model: MBNet) -> Prepare:
    """Augments a batch, and makes the views and targets of the branches that are on.

    Views may be of predicted maps (`train.predicted_maps`); what KTM's gate and the
    parsing head are to learn is that of the given ones.
    """
    views = views_of_branches(b for b in BRANCHES if b in config.model.branches)
    change = partial(augment, **config.augment)
    exchange = exchange_function(config, model)

    def prepare(batch: Batch, keys: jax.Array, variables: dict):
        image, parsing = jax.vmap(change)(
            normalise(batch["image"]), batch["parsing"], keys
        )
        targets = make_targets(parsing, config.views)
        if exchange:
            parsing = exchange(variables, image, parsing, keys)
            # The crops are where the map of the view has head and legs.
            seen = make_targets(parsing, config.views).foreground
            targets = targets._replace(foreground=seen)
        return make_views(image, parsing, config.views, views), targets

    return prepare


def make_train_step(
    config: ConfigDict,
    model: MBNet,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    classes: ClothesClasses | None = None,
    *,
    loss: Callable | None = None,
    prepare: Prepare | None = None,
) -> Callable[[TrainState, Batch], tuple[TrainState, Scalars]]:
    """Returns the pure function (state, batch) -> (state, scalars to log).

    It is written for the whole batch, so batch norm's statistics and the losses are
    those of the whole batch, however `compiled` splits it over the devices. With
    `train.accumulate` of n > 1 they are those of each of n micro-batches, one after
    the other, whose rows are ordered by `accumulation.order_on_devices`. Batch norm's
    running averages are then updated n times; gradient and scalars are means.

    Args:
      config: the run's.
      model, optimizer: the network and what updates it.
      mesh: the devices that the batch will be split over.
      classes: the classes of clothes, for CAL's losses; None leaves these out.
      loss: in place of `losses.total`, with its arguments and results.
      prepare: in place of `make_prepare(config, model)`.
    """
    # The initial weights have their own stream of random numbers, from `seed`.
    augmentation_seed = config.seed + 1
    prepare = prepare or make_prepare(config, model)
    loss = loss or losses.total
    n, decay = config.train.accumulate, config.train.get("ema", 0.0)
    only = config.train.get("only", ())
    split = config.train.get("shard_parameters", False)
    apply = gathering(model.apply, mesh, split=split)
    needs_keys = model.needs_keys()

    def gradient(params, batch_stats, batch: Batch, keys: jax.Array, step: jax.Array):
        """One forward and backward pass: (gradient, batch statistics, scalars)."""
        variables = {"params": params, "batch_stats": batch_stats}
        views, targets = prepare(batch, keys, variables)
        clothes = None if classes is None else classes.of(batch, step)
        random = {"keys": path_keys(keys)} if needs_keys else {}

        def loss_of(params):
            outputs, updates = apply(
                {
                    "params": with_gradients_of(only, params),
                    "batch_stats": batch_stats,
                },
                views,
                train=True,
                mutable=["batch_stats"],
                **random,
            )
            value, scalars = loss(outputs, targets, batch["pid"], config.loss, clothes)
            new = changed_in(only, updates["batch_stats"], batch_stats)
            return value, (new, scalars)

        grads, (batch_stats, scalars) = jax.grad(loss_of, has_aux=True)(params)
        return grads, batch_stats, scalars

    def accumulated(
        params, batch_stats, batch: Batch, keys: jax.Array, step: jax.Array
    ):
        """The same over n micro-batches in turn, one of them in memory at a time."""

        def add(carry, micro_batch):
            total, batch_stats = carry
            grads, batch_stats, scalars = gradient(
                params, batch_stats, *micro_batch, step
            )
            return (jax.tree.map(jnp.add, total, grads), batch_stats), scalars

        zeros = jax.tree.map(jnp.zeros_like, params)
        rows = jax.tree.map(lambda x: micro_batches(x, n, mesh), batch)
        # Keys are those of the sampler's rows, whatever the number of devices.
        (total, batch_stats), scalars = jax.lax.scan(
            add, (zeros, batch_stats), (rows, keys.reshape(n, -1))
        )
        return (
            jax.tree.map(lambda x: x / n, total),
            batch_stats,
            jax.tree.map(jnp.mean, scalars),
        )

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Scalars]:
        keys = example_keys(augmentation_seed, state.step, batch["pid"].shape[0])
        passes = gradient if n == 1 else accumulated
        grads, batch_stats, scalars = passes(
            state.params, state.batch_stats, batch, keys, state.step
        )
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        changed = {
            "params": changed_in(only, params, state.params),
            "batch_stats": batch_stats,
            "opt_state": opt_state,
        }
        if decay:
            changed["average"] = averaged(
                state.average, changed["params"], decay, state.step
            )
        # Squares, as Adam takes them, so that it meets none that overflows.
        gradient_sums = sums_of_squares(grads)
        checked = (
            scalars["loss"],
            gradient_sums,
            sums_of_squares(batch_stats),
        )
        good = jnp.stack([jnp.isfinite(x).all() for x in checked]).all()
        counts = {
            "bad_steps": state.bad_steps + ~good,
            "bad_in_a_row": jnp.where(good, 0, state.bad_in_a_row + 1),
        }
        kept = {name: getattr(state, name) for name in changed}
        chosen = jax.tree.map(partial(jnp.where, good), changed, kept)
        new_state = TrainState(step=state.step + 1, **counts, **chosen)
        norm = jnp.sqrt(gradient_sums.sum())
        return new_state, scalars | counts | {"gradient_norm": norm}

    return step


def compiled(step: Callable, mesh: Mesh, state: Any = None) -> Callable:
    """Compiles a step: state donated, batch split over the mesh.

    `state` has the sharding of each of the state's arrays; None: all are whole on every
    device.
    """
    whole, split = replicated(mesh), batch_sharding(mesh)
    kept = whole if state is None else state
    return jax.jit(
        step,
        in_shardings=(kept, split),
        out_shardings=(kept, whole),
        donate_argnums=0,
    )
