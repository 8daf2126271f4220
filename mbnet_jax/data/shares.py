"""How many persons of a batch are of each of several datasets."""

from collections.abc import Sequence

import numpy as np


def persons_of_shares(shares: Sequence[float], persons: int) -> list[int]:
    """The persons of each dataset in a batch: largest remainders, at least one each.

    Args:
      shares: of each dataset, above 0; only their ratios count.
      persons: of a batch, of all datasets together.

    Raises:
      ValueError: if there are fewer persons than datasets.
    """
    if persons < len(shares):
        raise ValueError(
            f"data.shares={(*shares,)} needs at least {len(shares)} persons in a batch,"
            f" one of each dataset, but there are {persons}; raise train.batch_size or "
            "lower train.images_per_identity"
        )
    wanted = np.array(shares, float) / sum(shares) * persons
    counts = np.maximum(wanted.astype(int), 1)
    while counts.sum() < persons:
        counts[np.argmax(wanted - counts)] += 1
    while counts.sum() > persons:  # some were raised to one
        counts[np.argmin(np.where(counts > 1, wanted - counts, np.inf))] -= 1
    return counts.tolist()


def check_shares(
    shares: Sequence[float], counts: Sequence[int], persons: Sequence[int]
) -> None:
    """Refuses batches that need more persons of a dataset than it has.

    Args:
      shares: as in `persons_of_shares`.
      counts: its result.
      persons: the training persons of each dataset.

    Raises:
      ValueError: naming the dataset by its place.
    """
    for place, (count, known) in enumerate(zip(counts, persons, strict=True), 1):
        if count > known:
            raise ValueError(
                f"data.shares={(*shares,)} gives dataset {place} of data.name {count} "
                f"persons of a batch, but it has only {known} to train on; lower its "
                "share or train.batch_size"
            )
