"""The learning rate by step, and what makes an update of a gradient.

In this order: the gradient is clipped; L2 weight decay is added to it (Adam, SGD); the
optimizer scales it, or adds its momentum; decoupled weight decay is added (AdamW); all
is multiplied by the parameter's factor of the rate (`rate_factors`), and by the rate.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from mbnet_jax.training.gradients import clipped
from mbnet_jax.training.layer_decay import rate_factors

MOMENTUM = 0.9  # of SGD


def make_schedule(config: ConfigDict, steps_per_epoch: int) -> optax.Schedule:
    """Learning rate by step, from `config.train`.

    The warm-up ends at `learning_rate`, which the step after it has. "cosine" begins
    there; "cosine_under_warmup" is a cosine over all steps, whose beginning the warm-up
    replaces, so that the rate drops where the warm-up ends (as in timm's scheduler,
    which TransReID, MADE, DIFFER and CSCI use; theirs changes once an epoch).
    """
    total = config.epochs * steps_per_epoch
    warmup = round(config.warmup_epochs * steps_per_epoch)
    peak = config.learning_rate
    # Not from 0, which would waste the first step.
    start = peak * config.get("warmup_start", 0.0) or peak / (warmup + 1)
    up = optax.linear_schedule(start, peak, max(warmup, 1))
    if config.schedule == "cosine_under_warmup":
        return _under(up, warmup, _cosine(config, total))
    if config.schedule == "step":
        rate = config.decay_rate
        after = optax.piecewise_constant_schedule(
            peak,
            {
                round(epoch * steps_per_epoch) - warmup: rate
                for epoch in config.decay_epochs
                if epoch < config.epochs
            },
        )
    else:
        after = _cosine(config, total - warmup)
    return optax.join_schedules([up, after], [warmup])


def _cosine(config: ConfigDict, steps: int) -> optax.Schedule:
    """Half a cosine from `learning_rate` to `cosine_end` of it."""
    return optax.cosine_decay_schedule(
        config.learning_rate, max(steps, 1), alpha=config.get("cosine_end", 0.0)
    )


def _under(up: optax.Schedule, warmup: int, after: optax.Schedule) -> optax.Schedule:
    """`up` before step `warmup`, then `after`, which counts from step 0 too."""

    def schedule(step: jax.Array) -> jax.Array:
        return jnp.where(step < warmup, up(step), after(step))

    return schedule


def decays(params) -> dict:
    """Which parameters weight decay applies to: kernels alone.

    Not biases, norms, embeddings and factors. By name: an attention layer's biases have
    two axes, as a kernel may have, and so have the norms of stacked blocks.
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path[-1].key == "kernel", params
    )


def make_optimizer(
    config: ConfigDict,
    schedule: optax.Schedule,
    backbones: Mapping[str, Mapping[str, Any]] | None = None,
) -> optax.GradientTransformation:
    """The optimizer that `config.train` describes.

    With "adam" the decay passes through Adam's scaling (L2 regularisation, as in
    PyTorch's Adam), with "adamw" it does not (Loshchilov and Hutter, ICLR 2019). "sgd"
    is PyTorch's: L2 regularisation, momentum without dampening.

    Its state depends on the choice of the optimizer alone, not on clipping, decay or
    factors of the rate, so these may change when a run resumes.

    Args:
      config: `config.train`.
      schedule: learning rate by step, of `make_schedule`.
      backbones: `config.model.backbones`; read with `layer_decay` below 1.

    Raises:
      ValueError: if `layer_decay` is below 1 without `backbones`, or, when the
        optimizer is used, if a backbone has no order of layers.
    """
    kind = config.get("optimizer", "adam")
    mask = _everything if config.get("decay_all", False) else decays
    decay = optax.add_decayed_weights(config.weight_decay, mask=mask)
    parts = {
        "adam": (decay, optax.scale_by_adam()),
        "adamw": (optax.scale_by_adam(), decay),
        "sgd": (decay, optax.trace(config.get("momentum", MOMENTUM))),
    }[kind]
    inner = optax.chain(*parts, optax.scale_by_learning_rate(schedule))
    clip_norm = config.get("clip_norm", 0.0)
    layer_decay = config.get("layer_decay", 1.0)
    bias_rate = config.get("bias_rate", 1.0)
    if layer_decay != 1 and backbones is None:
        raise ValueError(f"train.layer_decay={layer_decay} needs model.backbones")

    def update(grads, state, params=None):
        if clip_norm:
            grads = clipped(grads, clip_norm)
        updates, state = inner.update(grads, state, params)
        if layer_decay != 1 or bias_rate != 1:
            factors = rate_factors(params, backbones or {}, layer_decay, bias_rate)
            updates = jax.tree.map(jnp.multiply, updates, factors)
        return updates, state

    return optax.GradientTransformation(inner.init, update)


def _everything(params) -> dict:
    return jax.tree.map(lambda _: True, params)
