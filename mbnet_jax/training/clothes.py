"""The training set's classes of clothes, for the losses that read them."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.data import Split
from mbnet_jax.data.parts import title_of
from mbnet_jax.data.records import UNKNOWN
from mbnet_jax.losses import Clothes
from mbnet_jax.models import BRANCHES

_RANK = "model.clothes_rank"


class ClothesClasses(NamedTuple):
    """The classes of clothes: each is an outfit of one person.

    person: int32 [num_clothes], the person who wears it.
    start: the step from which CAL's adversarial loss counts.
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
    """The classes, or None where no loss reads them.

    Images of unknown clothes have no class; the losses leave them out.

    Raises:
      ValueError: if no training image has a clothes label, or, for the directions of
        clothes, nobody has two outfits.
    """
    readers = dict(_readers(config))
    if not readers:
        return None
    field, value = next(iter(readers.items()))
    known = train.clothes != UNKNOWN
    if not known.any():
        raise ValueError(
            f"{field}={value} needs clothes labels, and the training images of "
            f"{title_of(config.data)} have none; add them, or set {field}=0"
        )
    person = np.zeros(train.clothes.max() + 1, np.int32)
    person[train.clothes[known]] = train.pid[known]
    if _RANK in readers and len(person) == len(np.unique(person)):
        raise ValueError(
            f"{_RANK}={readers[_RANK]} needs persons in several outfits, and the "
            f"training images of {title_of(config.data)} show each in one; set "
            f"{_RANK}=0"
        )
    start = config.loss.cal_start_epoch * steps_per_epoch
    return ClothesClasses(person, min(start, 2**31 - 1))  # jax counts in int32


def _readers(config: ConfigDict) -> Iterator[tuple[str, float]]:
    """The fields that switch on losses that read clothes, and their values."""
    if config.loss.cal:
        yield "loss.cal", config.loss.cal
    rank = config.model.get("clothes_rank", 0)
    if rank and any(BRANCHES[name].adversarial for name in config.model.branches):
        yield _RANK, rank
