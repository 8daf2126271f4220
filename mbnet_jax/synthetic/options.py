"""What a synthetic dataset is made from, and the seeds that follow from it."""

import dataclasses
from typing import Any

import numpy as np

# Raised whenever the same options would give other images.
VERSION = 1
MAX_OUTFITS = 12  # what a person can draw without wearing a garment twice

# First spawn key of each kind of random stream.
WARDROBE, IDENTITY, OUTFITS, CAMERA, IMAGE, PASSERSBY = range(6)


@dataclasses.dataclass(frozen=True)
class SyntheticOptions:
    """Size and seed of a synthetic dataset.

    Attributes:
      train_identities: people in `train/`.
      test_identities: other people, in `query/` and `gallery/`.
      outfits: outfits a person is seen in, at most 12.
      cameras: cameras, each of which sees every person in every outfit.
      train_images: images of a training person in an outfit at a camera.
      test_images: the same for a test person; one is a query, the others gallery.
      height: rows of an image, at least 64.
      width: columns of an image, at least 32.
      seed: what everything random follows from.

    Raises:
      ValueError: if a number cannot be met.
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
        """Check every number on its own."""
        least = {
            "train_identities": 0,
            "test_identities": 0,
            "outfits": 1,
            "cameras": 1,
            "train_images": 1,
            "test_images": 2,
            "height": 64,
            "width": 32,
            "seed": 0,
        }
        for name, low in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(
                    f"synthetic option {name} must be a whole number of at least "
                    f"{low}, got {value!r}"
                )
        if self.outfits > MAX_OUTFITS:
            raise ValueError(
                f"synthetic option outfits is {self.outfits}, yet the wardrobe "
                f"dresses a person in at most {MAX_OUTFITS} without repeating a garment"
            )
        if not 1 <= self.train_identities + self.test_identities <= 9999:
            raise ValueError(
                "synthetic options train_identities and test_identities must sum to "
                f"1..9999 (a person's number has four digits), got "
                f"{self.train_identities} + {self.test_identities}"
            )

    def rng(self, *key: int) -> np.random.Generator:
        """The random stream of one identity, camera, image, ... of this dataset."""
        sequence = np.random.SeedSequence(self.seed, spawn_key=key)
        return np.random.Generator(np.random.PCG64(sequence))

    def record(self) -> dict[str, Any]:
        """What `dataset.json` holds."""
        return {"version": VERSION, "options": dataclasses.asdict(self)}
