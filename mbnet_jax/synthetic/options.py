"""The options of a synthetic dataset, and the random streams of its parts."""

import dataclasses
from typing import Any

import numpy as np

from mbnet_jax import schema
from mbnet_jax.configs import base

# Incremented whenever the same options would give different images.
VERSION = 1

# First spawn key of each kind of random stream.
WARDROBE, IDENTITY, OUTFITS, CAMERA, IMAGE, PASSERSBY = range(6)


@dataclasses.dataclass(frozen=True)
class SyntheticOptions:
    """Size and seed of a synthetic dataset.

    Attributes:
      train_identities: number of people in `train/`.
      test_identities: number of other people, in `query/` and `gallery/`.
      outfits: outfits per person, at most 12, so that nobody repeats a garment.
      cameras: number of cameras; each sees every person in every outfit.
      train_images: images per training person, outfit and camera.
      test_images: the same per test person; one is a query, the others are gallery.
      height: image height in pixels, at least 64.
      width: image width in pixels, at least 32.
      seed: determines everything random.

    Raises:
      ValueError: if a number is out of range.
    """

    train_identities: int = 64
    test_identities: int = 32
    outfits: int = 3
    cameras: int = 4
    train_images: int = 3
    test_images: int = 2
    height: int = 128
    width: int = 64
    seed: int = 0

    def __post_init__(self):
        """Checks every number."""
        schema.check(vars(self), base.people(), "synthetic options")
        if not 1 <= self.train_identities + self.test_identities <= 9999:
            raise ValueError(
                "synthetic options train_identities and test_identities must sum to "
                f"1..9999 (a person's number has four digits), got "
                f"{self.train_identities} + {self.test_identities}"
            )

    def rng(self, *key: int) -> np.random.Generator:
        """Returns the random stream of one identity, camera, image, ... by its key."""
        sequence = np.random.SeedSequence(self.seed, spawn_key=key)
        return np.random.Generator(np.random.PCG64(sequence))

    def record(self) -> dict[str, Any]:
        """Returns the content of `dataset.json`."""
        return {"version": VERSION, "options": dataclasses.asdict(self)}
