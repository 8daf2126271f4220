"""Identity-balanced batches as a pure function of seed and step.

Nothing is remembered between batches, so any process can make any batch: a
restart, or another number of devices or hosts, changes nothing.
"""

import numpy as np

# Names of the random streams, so that two draws never share their numbers.
_IDENTITIES, _IMAGES, _SUBSTITUTES = 0, 1, 2


class IdentityBalancedSampler:
    """P identities x K images a batch, no identity twice in one.

    Identities go round in shuffled rounds; those that a round's last full batch
    leaves over wait for the next shuffle. An identity's K images are of as many
    outfits as possible, and repeat only if it has fewer than K.
    """

    def __init__(
        self,
        pid: np.ndarray,
        clothes: np.ndarray,
        *,
        batch_size: int,
        images_per_identity: int,
        seed: int,
    ):
        """Takes labels [n] of the training images.

        Raises:
          ValueError: if `batch_size` is no multiple of `images_per_identity`, or
            needs more identities than there are.
        """
        if images_per_identity < 2 or batch_size % images_per_identity:
            raise ValueError(
                f"train.batch_size={batch_size} must be a multiple of "
                f"train.images_per_identity={images_per_identity}, and that at least "
                "2: the triplet loss needs pairs of one person"
            )
        self.batch_size = batch_size
        self._per_batch = batch_size // images_per_identity
        self._images_per_identity = images_per_identity
        self._seed = seed
        self._identities = np.unique(pid)
        if len(self._identities) < self._per_batch:
            raise ValueError(
                f"train.batch_size={batch_size} asks for {self._per_batch} identities "
                f"of {images_per_identity} images, but only {len(self._identities)} "
                "are there to train on; make it smaller"
            )
        self._outfits = {
            person: [
                np.flatnonzero((pid == person) & (clothes == outfit))
                for outfit in np.unique(clothes[pid == person])
            ]
            for person in self._identities.tolist()
        }

    def batch(self, step: int) -> np.ndarray:
        """Indices int [P * K] of the images of batch `step`, K after K."""
        return np.concatenate(
            [self._images(step, person) for person in self._persons(step)]
        )

    def substitutes(self, step: int, row: int) -> np.ndarray:
        """Indices [n] of the person's other images, to take for row `row` of a batch.

        In the order to try: the row's own image is one that cannot be used.
        """
        person = self._persons(step)[row // self._images_per_identity]
        own = self._images(step, person)[row % self._images_per_identity]
        images = np.concatenate(self._outfits[person])
        rng = np.random.default_rng([self._seed, _SUBSTITUTES, step, row])
        return rng.permutation(images[images != own])

    def _persons(self, step: int) -> list[int]:
        batches_per_round = len(self._identities) // self._per_batch
        round_number, place = divmod(step, batches_per_round)
        rng = np.random.default_rng([self._seed, _IDENTITIES, round_number])
        shuffled = rng.permutation(self._identities)
        return shuffled[place * self._per_batch :][: self._per_batch].tolist()

    def _images(self, step: int, person: int) -> np.ndarray:
        rng = np.random.default_rng([self._seed, _IMAGES, step, person])
        outfits = [rng.permutation(images) for images in self._outfits[person]]
        order = rng.permutation(len(outfits))
        # One image of each outfit, then a second of each, and so on.
        longest = max(len(images) for images in outfits)
        in_turn = [
            outfits[outfit][turn]
            for turn in range(longest)
            for outfit in order
            if turn < len(outfits[outfit])
        ]
        return np.resize(in_turn, self._images_per_identity)
