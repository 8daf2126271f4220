"""The options of a synthetic dataset, and the random streams of its parts."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from mbnet_jax import schema
from mbnet_jax.configs.people import people
from mbnet_jax.synthetic.clothes.prints import PRINTS
from mbnet_jax.synthetic.scenes.kinds import OCCLUDERS, SCENES

# Incremented whenever the same options would give different images.
VERSION = 1

# First spawn key of each kind of random stream.
WARDROBE, IDENTITY, OUTFITS, CAMERA, IMAGE, PASSERSBY, MEETS = range(7)
KIND, PARSER, SCENE = 20, 21, 30  # those between are free


@dataclasses.dataclass(frozen=True)
class SyntheticOptions:
    """Size and seed of a synthetic dataset.

    Attributes:
      train_identities: number of people in `train/`.
      test_identities: number of other people, in `query/` and `gallery/`.
      outfits: outfits per person, at most 12, so that nobody repeats a garment.
      cameras: number of cameras that see a person in every outfit.
      train_images: images per training person, outfit and camera.
      test_images: the same per test person; one is a query, the others are gallery.
      height: image height in pixels, at least 64.
      width: image width in pixels, at least 32.
      seed: determines everything random.
      camera_pool, test_camera_pool: cameras that training and test persons meet some
        of, `cameras` each; 0: all meet the same. With either, no test camera is a
        training camera.
      camera_kinds: "plain" or "varied" (see `cameras`).
      backgrounds: names in `scenes.kinds.SCENES`; each camera has one.
      occluders: names in `scenes.kinds.OCCLUDERS`.
      occluded: share of the images with one of them.
      garments: tops of the large wardrobe (see `clothes`); 0: the small one.
      prints: names in `clothes.prints.PRINTS`; (): all.
      accessories: how often an outfit has each accessory.
      poses: "walking" or "any" (see `people`).
      box_errors, parser_errors: 0 to 1, how far off boxes and maps are.

    Raises:
      ValueError: if a number is out of range, or a name unknown.
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
    camera_pool: int = 0
    test_camera_pool: int = 0
    camera_kinds: str = "plain"
    backgrounds: tuple[str, ...] = ("boxes",)
    occluders: tuple[str, ...] = ("box", "pole", "side", "rail")
    occluded: float = 0.15
    garments: int = 0
    prints: tuple[str, ...] = ()
    accessories: float = 0.0
    poses: str = "walking"
    box_errors: float = 0.0
    parser_errors: float = 0.0

    def __post_init__(self):
        """Checks every field, and makes lists tuples."""
        schema.check(vars(self), people(), "synthetic options")
        for name, value in vars(self).items():
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        _check_names("backgrounds", self.backgrounds, SCENES)
        _check_names("occluders", self.occluders, OCCLUDERS)
        _check_names("prints", self.prints, PRINTS)
        for name in ("camera_pool", "test_camera_pool"):
            if 0 < getattr(self, name) < self.cameras:
                raise ValueError(
                    f"synthetic options {name}={getattr(self, name)} must be 0, or at "
                    f"least cameras, {self.cameras}, which each person meets"
                )
        if 0 < self.garments < self.outfits:
            raise ValueError(
                f"synthetic options garments={self.garments} must be 0, or at least "
                f"outfits, {self.outfits}, as nobody repeats a garment"
            )
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

    def cameras_of(self, pid: int) -> list[int]:
        """The numbers, from 1, of the cameras that person `pid` meets."""
        test = pid > self.train_identities
        if not self.camera_pool and not self.test_camera_pool:
            return [*range(1, self.cameras + 1)]
        first = (self.camera_pool or self.cameras) if test else 0
        count = (self.test_camera_pool if test else self.camera_pool) or self.cameras
        chosen = self.rng(MEETS, pid).choice(count, self.cameras, replace=False)
        return sorted((first + 1 + chosen).tolist())

    def record(self) -> dict[str, Any]:
        """Returns the content of `dataset.json`.

        Fields that later versions added are left out while they are off, so a dataset
        of an earlier version stays the same one.
        """
        added = {n for n, field in people().items() if field.optional}
        usual = {field.name: field.default for field in dataclasses.fields(self)}
        options = {
            name: [*value] if isinstance(value, tuple) else value
            for name, value in vars(self).items()
            if name not in added or value != usual[name]
        }
        return {"version": VERSION, "options": options}


def _check_names(field: str, names: Sequence[str], known: Collection[str]) -> None:
    """Raises ValueError if one of the names of an option is not known."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"synthetic options {field}: unknown {', '.join(map(repr, unknown))}; "
            f"known are {', '.join(known)}"
        )
