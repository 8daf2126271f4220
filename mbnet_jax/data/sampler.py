"""Identity-balanced batches as a pure function of seed and step.

No state is kept between batches, so any process can make any batch: batches do not
depend on restarts or on the number of devices and hosts.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from mbnet_jax.data.shares import check_shares, persons_of_shares

# Random streams, so that no two draws share random numbers.
_IDENTITIES, _IMAGES, _SUBSTITUTES, _MIXED = 0, 1, 2, 3


def check_batch(batch_size: int, images_per_identity: int) -> None:
    """Refuses batches that do not hold the same number of images of each identity.

    Raises:
      ValueError: naming the fields.
    """
    if images_per_identity < 2 or batch_size % images_per_identity:
        each = max(images_per_identity, 2)
        near = max(2 * each, batch_size // each * each)
        raise ValueError(
            f"train.batch_size={batch_size} must be a multiple of "
            f"train.images_per_identity={images_per_identity}, which must be at "
            "least 2: the triplet loss needs pairs of one person; for example "
            f"--config.train.batch_size={near}"
        )


def check_identities(
    batch_size: int, images_per_identity: int, identities: int
) -> None:
    """Refuses batches of more identities than there are.

    Raises:
      ValueError: naming the fields.
    """
    needed = batch_size // images_per_identity
    if identities < needed:
        raise ValueError(
            f"train.batch_size={batch_size} needs {needed} identities of "
            f"{images_per_identity} images, but the training split has only "
            f"{identities}; make it smaller"
        )


class IdentityBalancedSampler:
    """Batches of P identities x K images, without repeated identities in a batch.

    Identities are drawn in shuffled rounds; the remainder that does not fill a batch
    is dropped until the next shuffle. The K images of an identity show as many outfits
    as possible, then as many tracklets of each outfit as possible, and repeat only if
    it has fewer than K images.

    With shares, a batch has a fixed number of identities of each dataset, which are
    drawn in shuffled rounds of their own, in a random order.

    Attributes:
      batch_size: P * K.
    """

    def __init__(
        self,
        pid: np.ndarray,
        clothes: np.ndarray,
        *,
        batch_size: int,
        images_per_identity: int,
        seed: int,
        tracklet: np.ndarray | None = None,
        dataset: np.ndarray | None = None,
        shares: Sequence[float] = (),
    ):
        """Groups the training images by identity and outfit.

        Args:
          pid: int [n], the identity of each training image.
          clothes: int [n], its outfit.
          batch_size: images per batch, P * K.
          images_per_identity: K, at least 2.
          seed: of all draws.
          tracklet: int [n], its tracklet. None, or one value for all: not known.
          dataset: int [n], which of several datasets each image is of, from 0.
          shares: of each dataset's identities in a batch; () draws from all together.

        Raises:
          ValueError: `batch_size` is not a multiple of `images_per_identity`, or
            needs more identities than the training images have.
        """
        check_batch(batch_size, images_per_identity)
        self.batch_size = batch_size
        self._per_batch = batch_size // images_per_identity
        self._images_per_identity = images_per_identity
        self._seed = seed
        self._identities = np.unique(pid)
        check_identities(batch_size, images_per_identity, len(self._identities))
        self._tracklet = np.zeros(len(pid), int) if tracklet is None else tracklet
        self._outfits = _by_outfit(pid, clothes)
        self._pools = [(self._identities, self._per_batch)]
        if shares:
            counts = persons_of_shares(shares, self._per_batch)
            pools = [np.unique(pid[dataset == i]) for i in range(len(counts))]
            check_shares(shares, counts, [len(pool) for pool in pools])
            self._pools = [*zip(pools, counts, strict=True)]

    def batch(self, step: int) -> np.ndarray:
        """Image indices of batch `step`, int [P * K], the K of an identity adjacent."""
        return np.concatenate(
            [self._images(step, person) for person in self._persons(step)]
        )

    def substitutes(self, step: int, row: int) -> np.ndarray:
        """Other images of the identity in row `row` of batch `step`, int [n].

        They replace the row's own image if it cannot be used, in the order to try.
        """
        person = self._persons(step)[row // self._images_per_identity]
        own = self._images(step, person)[row % self._images_per_identity]
        images = np.concatenate(self._outfits[person])
        rng = np.random.default_rng([self._seed, _SUBSTITUTES, step, row])
        return rng.permutation(images[images != own])

    def _persons(self, step: int) -> list[int]:
        persons = []
        for number, (pool, count) in enumerate(self._pools):
            round_number, batch = divmod(step, len(pool) // count)
            # The first pool's stream is that of a single one.
            stream = [self._seed, _IDENTITIES, round_number] + [number] * bool(number)
            shuffled = np.random.default_rng(stream).permutation(pool)
            persons += shuffled[batch * count :][:count].tolist()
        if len(self._pools) > 1:  # or a micro-batch would have few of the datasets
            rng = np.random.default_rng([self._seed, _MIXED, step])
            persons = rng.permutation(persons).tolist()
        return persons

    def _images(self, step: int, person: int) -> np.ndarray:
        rng = np.random.default_rng([self._seed, _IMAGES, step, person])
        outfits = [
            self._in_turn(rng.permutation(images)) for images in self._outfits[person]
        ]
        order = rng.permutation(len(outfits))
        # One image of each outfit, then a second of each, and so on.
        longest = max(len(images) for images in outfits)
        in_turn = (
            outfits[outfit][turn]
            for turn in range(longest)
            for outfit in order
            if turn < len(outfits[outfit])
        )
        first = [*itertools.islice(in_turn, self._images_per_identity)]
        return np.resize(first, self._images_per_identity)

    def _in_turn(self, images: np.ndarray) -> np.ndarray:
        """One of `images` of each tracklet, then a second of each, and so on."""
        tracklet = self._tracklet[images]
        order = np.argsort(tracklet, kind="stable")
        starts = np.r_[True, np.diff(tracklet[order]) != 0]
        place = np.arange(len(images))
        turn = np.empty_like(place)
        turn[order] = place - np.maximum.accumulate(np.where(starts, place, 0))
        return images[np.argsort(turn, kind="stable")]


def _by_outfit(pid: np.ndarray, clothes: np.ndarray) -> dict[int, list[np.ndarray]]:
    """Identity -> the images of each of its outfits, ascending."""
    order = np.lexsort((clothes, pid))  # stable
    changes = (np.diff(pid[order]) != 0) | (np.diff(clothes[order]) != 0)
    outfits: dict[int, list[np.ndarray]] = {}
    for images in np.split(order, np.flatnonzero(changes) + 1):
        outfits.setdefault(int(pid[images[0]]), []).append(images)
    return outfits
