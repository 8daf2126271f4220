"""The training set's classes of clothes, for CAL's losses."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.data import Split
from mbnet_jax.losses import Clothes
from mbnet_jax.models import BRANCHES
from mbnet_jax.runs.run_folder import num_clothes


class ClothesClasses(NamedTuple):
    """The classes of clothes: each is an outfit of one person.

    person: int32 [num_clothes], the person who wears it.
    start: the step from which the adversarial loss counts.
    """

    person: np.ndarray
    start: int

    def of(self, batch: dict, step: jax.Array) -> Clothes:
        """The clothes of the batch of `step`, counted from 0."""
        return Clothes(
            batch["clothes"],
            batch["pid"][:, None] == jnp.asarray(self.person),
            jnp.where(step >= self.start, 1.0, 0.0),
        )


def clothes_classes(
    config: ConfigDict, train: Split, steps_per_epoch: int
) -> ClothesClasses | None:
    """The classes, or None where `loss.cal` is off.

    Raises:
      ValueError: if the branch that CAL trains is off, clothes labels are missing, or
        a field of CAL's is invalid.
    """
    loss = config.loss
    if not loss.cal:
        return None
    trained = [name for name, branch in BRANCHES.items() if branch.adversarial]
    if not {*trained} & {*config.model.branches}:
        raise ValueError(
            f"loss.cal={loss.cal} trains the branch {', '.join(trained)}, which is not "
            f"in model.branches={tuple(config.model.branches)}; add it, or set "
            "loss.cal=0."
        )
    if "clothes" not in train.known:
        raise ValueError(
            f"loss.cal={loss.cal} needs clothes labels, and {config.data.name} has "
            "training images without them; add them, or set loss.cal=0."
        )
    good = {
        "cal": loss.cal > 0,
        "cal_start_epoch": loss.cal_start_epoch >= 0,
        "cal_temperature": loss.cal_temperature > 0,
        "cal_epsilon": 0 <= loss.cal_epsilon <= 1,
    }
    for name, fits in good.items():
        if not fits:
            raise ValueError(
                f"loss.{name}={loss[name]} is invalid: loss.cal and "
                "loss.cal_start_epoch must not be negative, loss.cal_temperature must "
                "be above 0, and loss.cal_epsilon from 0 to 1"
            )
    person = np.zeros(num_clothes(config, train), np.int32)
    person[train.clothes] = train.pid
    return ClothesClasses(person, round(loss.cal_start_epoch * steps_per_epoch))
