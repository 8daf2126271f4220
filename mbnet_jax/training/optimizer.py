"""Adam with a learning rate schedule, as the field trains re-identification."""

import jax
import optax
from ml_collections import ConfigDict


def make_schedule(config: ConfigDict, steps_per_epoch: int) -> optax.Schedule:
    """Learning rate by step, from `config.train`: linear warm-up, then a schedule."""
    total = config.epochs * steps_per_epoch
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if config.schedule == "step":
        rate = config.decay_rate
        after = optax.piecewise_constant_schedule(
            config.learning_rate,
            {
                round(epoch * steps_per_epoch) - warmup: rate
                for epoch in config.decay_epochs
                if epoch < config.epochs
            },
        )
    else:
        after = optax.cosine_decay_schedule(
            config.learning_rate, max(total - warmup, 1)
        )
    # Not from 0, which would waste the first step.
    up = optax.linear_schedule(
        config.learning_rate / (warmup + 1), config.learning_rate, max(warmup, 1)
    )
    return optax.join_schedules([up, after], [warmup])


def decays(params) -> dict:
    """Which parameters weight decay applies to: kernels; not biases, not norms.

    By name: an attention layer's biases have two axes, as a kernel may have.
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path[-1].key == "kernel", params
    )


def make_optimizer(
    config: ConfigDict, schedule: optax.Schedule
) -> optax.GradientTransformation:
    """Adam on the gradient plus weight decay times the parameter.

    The decay passes through Adam's scaling (L2 regularisation, as in PyTorch's Adam,
    which the field's settings are for), unlike AdamW's.

    Args:
      config: `config.train`.
      schedule: learning rate by step, of `make_schedule`.
    """
    return optax.chain(
        optax.add_decayed_weights(config.weight_decay, mask=decays),
        optax.scale_by_adam(),
        optax.scale_by_learning_rate(schedule),
    )
