"""What CAL's losses need to know of clothes, and when the second one sets in."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.data import Split


class Clothes(NamedTuple):
    """A batch's clothes.

    label: int32 [B], the class of each image.
    same_person: bool [B, num_clothes], whether a class is of the image's person.
    started: float32 scalar, 1 from the start epoch on, 0 before.
    """

    label: jax.Array
    same_person: jax.Array
    started: jax.Array


class ClothesClasses(NamedTuple):
    """The training set's classes of clothes: each an outfit of one person.

    person: int32 [num_clothes], whose it is.
    start: the step from which on the adversarial loss counts.
    """

    person: np.ndarray
    start: int

    def of(self, batch: dict, step: jax.Array) -> Clothes:
        """The clothes of a batch, met at `step`, counted from 0."""
        return Clothes(
            batch["clothes"],
            batch["pid"][:, None] == jnp.asarray(self.person),
            jnp.where(step >= self.start, 1.0, 0.0),
        )


def count_clothes(config: ConfigDict, train: Split) -> int:
    """How many classes the clothes classifier has; 0 where `loss.cal` is off."""
    return int(train.clothes.max()) + 1 if config.loss.cal else 0


def clothes_classes(
    config: ConfigDict, train: Split, steps_per_epoch: int
) -> ClothesClasses | None:
    """The classes, or None where `loss.cal` is off.

    Raises:
      ValueError: if the config has no global branch, the dataset does not tell
        clothes, or a field of CAL's has no sense.
    """
    loss = config.loss
    if not loss.cal:
        return None
    if "global" not in config.model.branches:
        raise ValueError(
            f"loss.cal={loss.cal} trains the global branch, which model.branches="
            f"{tuple(config.model.branches)} lacks; add it, or set loss.cal=0."
        )
    if "clothes" not in train.known:
        raise ValueError(
            f"loss.cal={loss.cal} needs to know who wears what, and {config.data.name} "
            "has training images without clothes labels; add them, or set loss.cal=0."
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
                f"loss.{name}={loss[name]} has no sense: loss.cal and "
                "loss.cal_start_epoch are not negative, loss.cal_temperature is above "
                "0, loss.cal_epsilon from 0 to 1"
            )
    person = np.zeros(count_clothes(config, train), np.int32)
    person[train.clothes] = train.pid
    return ClothesClasses(person, round(loss.cal_start_epoch * steps_per_epoch))
