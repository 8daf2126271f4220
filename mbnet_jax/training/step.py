"""The training state and the step: a pure function of state and batch."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.backbones import pretrained
from mbnet_jax.devices.mesh import batch_sharding, replicated
from mbnet_jax.models import MBNet
from mbnet_jax.training.accumulation import micro_batches
from mbnet_jax.training.agreement import QUESTION
from mbnet_jax.training.augment import augment, example_keys
from mbnet_jax.training.clothes import ClothesClasses
from mbnet_jax.training.objective import objective
from mbnet_jax.views import Views, normalise, views_of

DTYPES = ("float32", "bfloat16")


@struct.dataclass
class TrainState:
    """All that training changes; the data's position is `step` itself.

    Randomness is a function of the config's seed and `step`, so none is kept. A step
    whose loss or gradient is not finite is bad: it counts, and changes nothing else.
    """

    step: jax.Array
    bad_steps: jax.Array  # of all steps
    bad_in_a_row: jax.Array  # up to this one
    params: dict
    batch_stats: dict
    opt_state: optax.OptState

    @property
    def variables(self) -> dict:
        """What `MBNet.apply` takes."""
        return {"params": self.params, "batch_stats": self.batch_stats}


def make_model(config: ConfigDict, num_classes: int, num_clothes: int = 0) -> MBNet:
    """The network that `config.model` describes, for `num_classes` identities.

    With `num_clothes` it has a classifier of as many classes of clothes.

    Raises:
      ValueError: for an unknown `dtype`.
    """
    # What the network starts with is no part of it.
    fields = {key: config[key] for key in config if key not in pretrained.FIELDS}
    if config.dtype not in DTYPES:
        raise ValueError(
            f"model.dtype={config.dtype!r} is unknown; known: {', '.join(DTYPES)}"
        )
    fields["dtype"] = jnp.dtype(config.dtype)
    return MBNet(num_classes=num_classes, num_clothes=num_clothes, **fields)


def init_state(
    config: ConfigDict,
    model: MBNet,
    optimizer: optax.GradientTransformation,
) -> TrainState:
    """A fresh state; to be called under `jit` or `eval_shape`."""
    image = jnp.zeros((1, config.data.height, config.data.width, 3))
    parsing = jnp.zeros(image.shape[:3], jnp.uint8)
    views = views_of(image, parsing, **config.views)
    key = jax.random.key(config.seed)
    variables = model.init(key, views.inputs(), train=False)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        bad_steps=jnp.zeros((), jnp.int32),
        bad_in_a_row=jnp.zeros((), jnp.int32),
        params=variables["params"],
        batch_stats=variables["batch_stats"],
        opt_state=optimizer.init(variables["params"]),
    )


def make_views(config: ConfigDict) -> Callable[[dict, jax.Array], Views]:
    """(batch, a key for each row) -> the augmented batch's views."""
    change = partial(augment, **config.augment)

    def views(batch: dict, keys: jax.Array) -> Views:
        image, parsing = jax.vmap(change)(
            normalise(batch["image"]), batch["parsing"], keys
        )
        return views_of(image, parsing, **config.views)

    return views


def make_train_step(
    config: ConfigDict,
    model: MBNet,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    classes: ClothesClasses | None = None,
    *,
    prepare: Callable[[dict, jax.Array], Views] | None = None,
) -> Callable[[TrainState, dict], tuple[TrainState, dict[str, jax.Array]]]:
    """Compiles (state, batch) -> (state, scalars to log); the state is donated.

    The batch is split over the mesh; its statistics and losses are those of the
    whole batch, since the step is written for it and the compiler splits it. With
    `train.accumulate` of n > 1 they are those of each of n micro-batches, one after
    the other: see `accumulation`, whose order the rows of the batch then have. Batch
    norm's running averages are updated n times; gradient and scalars are means.

    The scalars hold the answer to a batch's `agreement.QUESTION`, if it has one, and
    the state's `bad_steps` and `bad_in_a_row`. From
    `train.max_bad_steps` bad steps in a row on every step is bad, so that the state
    does not depend on when the host looks.

    `classes` are those of the clothes, for CAL's losses; None leaves these out.
    `prepare` makes the views of a batch, in place of `make_views(config)`.
    """
    # The initial weights have their own stream of random numbers, from `seed`.
    augmentation_seed = config.seed + 1
    prepare = prepare or make_views(config)
    n = config.train.accumulate

    def gradient(params, batch_stats, batch: dict, keys: jax.Array, step: jax.Array):
        """Of one forward and backward pass: (gradient, batch statistics, scalars)."""
        views = prepare(batch, keys)
        clothes = None if classes is None else classes.of(batch, step)

        def loss_of(params):
            outputs, updates = model.apply(
                {"params": params, "batch_stats": batch_stats},
                views.inputs(),
                train=True,
                mutable=["batch_stats"],
            )
            loss, scalars = objective(
                outputs, views, batch["pid"], config.loss, clothes
            )
            return loss, (updates["batch_stats"], scalars)

        grads, (batch_stats, scalars) = jax.grad(loss_of, has_aux=True)(params)
        return grads, batch_stats, scalars

    def accumulated(params, batch_stats, batch: dict, keys: jax.Array, step: jax.Array):
        """The same over n micro-batches in turn, one of them in memory at a time."""

        def add(carry, micro_batch):
            total, batch_stats = carry
            grads, batch_stats, scalars = gradient(
                params, batch_stats, *micro_batch, step
            )
            return (jax.tree.map(jnp.add, total, grads), batch_stats), scalars

        nothing = jax.tree.map(jnp.zeros_like, params)
        rows = jax.tree.map(lambda x: micro_batches(x, n, mesh), batch)
        # Keys are those of the sampler's rows, whatever the number of devices.
        (total, batch_stats), scalars = jax.lax.scan(
            add, (nothing, batch_stats), (rows, keys.reshape(n, -1))
        )
        return (
            jax.tree.map(lambda x: x / n, total),
            batch_stats,
            jax.tree.map(jnp.mean, scalars),
        )

    def step(state: TrainState, batch: dict) -> tuple[TrainState, dict]:
        batch = dict(batch)
        wishes = batch.pop(QUESTION, None)
        answer = {} if wishes is None else {QUESTION: wishes.any()}
        keys = example_keys(augmentation_seed, state.step, batch["pid"].shape[0])
        passes = gradient if n == 1 else accumulated
        grads, batch_stats, scalars = passes(
            state.params, state.batch_stats, batch, keys, state.step
        )
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        changed = {
            "params": optax.apply_updates(state.params, updates),
            "batch_stats": batch_stats,
            "opt_state": opt_state,
        }
        # Squares, as Adam takes them, so that it meets none that overflows. A sum for
        # each array: one for all is one loop to XLA, which compiles it for minutes.
        checked = jax.tree.leaves((scalars["loss"], grads, batch_stats))
        sums = jnp.stack([jnp.sum(jnp.square(x)) for x in checked])
        good = jnp.isfinite(sums).all()
        good &= state.bad_in_a_row < config.train.max_bad_steps
        counts = {
            "bad_steps": state.bad_steps + ~good,
            "bad_in_a_row": jnp.where(good, 0, state.bad_in_a_row + 1),
        }
        kept = {name: getattr(state, name) for name in changed}
        chosen = jax.tree.map(partial(jnp.where, good), changed, kept)
        new_state = TrainState(step=state.step + 1, **counts, **chosen)
        return new_state, scalars | counts | answer

    whole, split = replicated(mesh), batch_sharding(mesh)
    return jax.jit(
        step,
        in_shardings=(whole, split),
        out_shardings=(whole, whole),
        donate_argnums=0,
    )
