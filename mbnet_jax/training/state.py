"""The training state: what a step changes and a checkpoint keeps."""

import jax
import jax.numpy as jnp
import optax
from flax import struct
from flax.traverse_util import flatten_dict, unflatten_dict


@struct.dataclass
class TrainState:
    """Everything that training changes. The position in the data is `step` itself.

    Randomness is a function of the config's seed and `step`, so none is stored. A step
    whose loss or gradient is not finite is bad: it is counted and changes nothing else.
    With `train.ema` there is a moving average of the parameters, which is evaluated and
    saved as the run's weights.
    """

    step: jax.Array
    bad_steps: jax.Array  # so far
    bad_in_a_row: jax.Array  # up to this step
    params: dict
    batch_stats: dict
    opt_state: optax.OptState
    average: dict | None = None  # of params

    @property
    def variables(self) -> dict:
        """What is trained; `MBNet.apply` takes it."""
        return {"params": self.params, "batch_stats": self.batch_stats}

    @property
    def evaluated(self) -> dict:
        """The same, with the average of the parameters if there is one."""
        if self.average is None:
            return self.variables
        return {"params": self.average, "batch_stats": self.batch_stats}

    def parts(self) -> dict:
        """The parts of a checkpoint; inference reads the first alone."""
        names = ["step", "bad_steps", "bad_in_a_row", "opt_state"]
        if self.average is not None:
            names.append("params")
        training = {name: getattr(self, name) for name in names}
        return {"weights": self.evaluated, "training": training}

    @classmethod
    def of_parts(cls, parts: dict) -> "TrainState":
        """The inverse of `parts`."""
        weights, training = parts["weights"], parts["training"]
        if "params" in training:
            weights = {**weights, "average": weights["params"]}
        return cls(**weights | training)

    def with_variables(self, new: dict) -> "TrainState":
        """The state before the first step, with other weights to start with.

        Args:
          new: "params" and "batch_stats", arrays in place of the state's.
        """
        average = self.average
        if average is not None:
            # Copies: a step overwrites what it is given.
            average = _replaced(average, jax.tree.map(jnp.copy, new["params"]))
        return self.replace(
            params=_replaced(self.params, new["params"]),
            batch_stats=_replaced(self.batch_stats, new["batch_stats"]),
            average=average,
        )


def _replaced(tree: dict, new: dict) -> dict:
    """The tree with the arrays of `new`, which may lack some."""
    whole = flatten_dict(tree, keep_empty_nodes=True)
    return unflatten_dict(whole | flatten_dict(new))


def averaged(average: dict, params: dict, decay: float, step: jax.Array) -> dict:
    """Moves an average of parameters towards those after step `step`, counted from 0.

    The first steps count more than `decay` says, or the average would stay at the
    initial weights for long.
    """
    kept = jnp.minimum(decay, (1 + step) / (10 + step))
    return jax.tree.map(lambda a, p: kept * a + (1 - kept) * p, average, params)
