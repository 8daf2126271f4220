"""The training set's classes of clothes, for CAL's losses."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.data import Split
from mbnet_jax.data.parts import title_of
from mbnet_jax.data.records import UNKNOWN
from mbnet_jax.losses import Clothes
from mbnet_jax.runs.run_folder import num_clothes


class ClothesClasses(NamedTuple):
    """The classes of clothes: each is an outfit of one person.

    person: int32 [num_clothes], the person who wears it.
    start: the step from which the adversarial loss counts.
    """

    person: np.ndarray
    start: int

    def of(self, batch: dict, step: jax.Array) -> Clothes:
        """The clothes of the batch of `step`, counted from 0; `UNKNOWN` is -1."""
        return Clothes(
            batch["clothes"],
            batch["pid"][:, None] == jnp.asarray(self.person),
            jnp.where(step >= self.start, 1.0, 0.0),
        )


def clothes_classes(
    config: ConfigDict, train: Split, steps_per_epoch: int
) -> ClothesClasses | None:
    """The classes, or None where `loss.cal` is off.

    Images of unknown clothes have no class; CAL's losses leave them out.

    Raises:
      ValueError: if no training image has a clothes label.
    """
    loss = config.loss
    if not loss.cal:
        return None
    known = train.clothes != UNKNOWN
    if not known.any():
        raise ValueError(
            f"loss.cal={loss.cal} needs clothes labels, and the training images of "
            f"{title_of(config.data)} have none; add them, or set loss.cal=0"
        )
    person = np.zeros(num_clothes(config, train), np.int32)
    person[train.clothes[known]] = train.pid[known]
    start = loss.cal_start_epoch * steps_per_epoch
    return ClothesClasses(person, min(start, 2**31 - 1))  # jax counts in int32
