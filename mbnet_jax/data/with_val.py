"""Training on the images of the split val too: `data.train_with_val`."""

import numpy as np

from mbnet_jax.data.chained import Chained
from mbnet_jax.data.records import UNKNOWN
from mbnet_jax.data.splits import Split


def with_val(train: Split, val: Split) -> Split:
    """Adds the images of `val` that show training persons to the training images.

    Persons and outfits of the two are the same if the dataset writes them alike. A new
    outfit of a training person gets a number of its own.

    Args:
      train: pid and known clothes are contiguous from 0.
      val: its pid, clothes and tracklet are numbered apart from those of `train`.

    Raises:
      ValueError: val shows no training person.
    """
    pids = {own.person: int(pid) for own, pid in zip(train.own, train.pid, strict=True)}
    shown = np.array([own.person in pids for own in val.own])
    if not shown.any():
        raise ValueError(
            "data.train_with_val=True, but no image of the split val shows a training "
            "person; set it to False"
        )
    val = val.subset(np.flatnonzero(shown))
    outfits = {
        (own.person, own.clothes): int(clothes)
        for own, clothes in zip(train.own, train.clothes, strict=True)
        if clothes != UNKNOWN
    }
    first = len({*outfits.values()})
    for own, clothes in zip(val.own, val.clothes, strict=True):
        outfit = own.person, own.clothes
        if clothes != UNKNOWN and outfit not in outfits:
            outfits[outfit], first = first, first + 1
    tracklet = np.where(
        val.tracklet == UNKNOWN,
        UNKNOWN,
        val.tracklet + train.tracklet.max(initial=UNKNOWN) + 1,
    )
    return Split(
        pid=np.append(train.pid, _int32(pids[own.person] for own in val.own)),
        camera=np.append(train.camera, val.camera),
        clothes=np.append(
            train.clothes,
            _int32(
                outfits[own.person, own.clothes] if clothes != UNKNOWN else UNKNOWN
                for own, clothes in zip(val.own, val.clothes, strict=True)
            ),
        ),
        names=train.names + val.names,
        positions=np.arange(len(train) + len(val)),
        source=Chained((train, val)),
        own=train.own + val.own,
        tracklet=np.append(train.tracklet, _int32(tracklet)),
    )


def _int32(values) -> np.ndarray:
    return np.array([*values], np.int32)
