"""Sizes of a config that fit the number of images and the device, and their times."""

import math
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh

from mbnet_jax.data.records import Record
from mbnet_jax.data.splits import (
    hold_out_identities,
    make_split,
    make_validation,
    number_held_out,
)

SEED = 0  # of the config, which decides who is held out
_HELD_OUT = 0.1  # of the persons, at least two
_FEW = 12  # with fewer persons, none is held out
_SMALL = 160  # pixels: images that are lower are not enlarged
# Core-seconds of training for an image of 128x64, on a core of an AMD EPYC.
_TRAINING = {
    ("resnet10", False): 0.01,
    ("resnet10", True): 0.03,
    ("resnet18", False): 0.06,
    ("resnet18", True): 0.13,
}
_GPU = 1 / 400  # seconds for an image of 256x128 and all branches with ResNet-50
_STARTING = 100  # core-seconds: imports, compiling
_PARSING = 4.0  # core-seconds for an image, SegFormer at 512x512
_EMBEDDING = 2 / 3  # of a training image's time: forward alone, but mirrored too


class Device(NamedTuple):
    """What is trained on.

    kind: "cpu", "gpu" or "tpu". count: of devices. cores: of the CPU.
    """

    kind: str
    count: int
    cores: int

    @property
    def title(self) -> str:
        """For people."""
        if self.kind == "cpu":
            return f"{self.cores} CPU core{'s' * (self.cores > 1)}"
        return f"{self.count} {self.kind.upper()}{'s' * (self.count > 1)}"


class Sizes(NamedTuple):
    """The fields that `config_text` writes.

    Attributes:
      height, width: of the images, in pixels.
      backbone: the name of the network that looks at the image.
      imagenet: whether its weights are ImageNet's.
      maps: whether all branches are trained.
      validation, fraction: `data.validation` and `data.validation_fraction`.
      persons, each: persons of a batch, and images of each.
      epochs, steps: epochs, and steps of each.
      test_batch: images of a batch in the evaluation.
    """

    height: int
    width: int
    backbone: str
    imagenet: bool
    maps: bool
    validation: str
    fraction: float
    persons: int
    each: int
    epochs: int
    steps: int
    test_batch: int

    @property
    def batch(self) -> int:
        """Images of a batch."""
        return self.persons * self.each

    @property
    def title(self) -> str:
        """The network, for people."""
        network = self.backbone.replace("resnet", "ResNet-")
        weights = "from ImageNet" if self.imagenet else "from scratch"
        branches = "all branches" if self.maps else "the global branch"
        return f"{branches} ({network} {weights})"


def find_device(mesh: Mesh) -> Device:
    """The devices of the mesh."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return Device(mesh.devices.flat[0].platform, mesh.size, cores)


def fit(
    train: Sequence[Record],
    device: Device,
    height: int,
    *,
    maps: bool,
    imagenet: bool,
    own_validation: bool = False,
) -> Sizes:
    """Chooses the sizes.

    Args:
      train: the training images.
      device: to train on.
      height: of most images, in pixels.
      maps: whether they have parsing maps.
      imagenet: whether to start from ImageNet's weights.
      own_validation: whether the manifest has a split "val".

    Raises:
      ValueError: if there are fewer than two persons.
    """
    counts = np.bincount([row.pid for row in train])
    persons = len(counts)
    if persons < 2:
        raise ValueError(
            f"{persons} person in the split train; training compares persons: add one"
        )
    validation, fraction = "own", _HELD_OUT
    if not own_validation:
        validation, fraction = _validation(train, persons)
    if validation == "held_out":
        persons -= number_held_out(persons, fraction)
    fast = device.kind != "cpu"
    each = int(np.clip(np.median(counts), 2, 4))
    at_once = min(16 if fast else 8, persons)
    while at_once > 2 and at_once * each % device.count:
        at_once -= 1
    if at_once * each % device.count:  # many devices, few persons
        each = device.count
    batch = at_once * each
    passes, least, most, epochs = (60, 600, 40_000, 60) if fast else (20, 200, 600, 20)
    total = min(max(passes * len(train) / batch, least), most)
    tall = 256 if fast and height >= _SMALL else 128
    backbone = "resnet50" if fast else "resnet18" if imagenet else "resnet10"
    return Sizes(
        tall,
        tall // 2,
        backbone,
        imagenet,
        maps,
        validation,
        fraction,
        at_once,
        each,
        epochs,
        math.ceil(total / epochs),
        math.ceil(64 / device.count) * device.count,
    )


def _validation(train: Sequence[Record], persons: int) -> tuple[str, float]:
    """Whom to hold out: a tenth of the persons, if they can be searched for."""
    fraction = round(max(_HELD_OUT, 2 / persons), 3)
    if persons >= _FEW:
        images = make_split(train, None, train[0].path.parent)
        try:
            make_validation(hold_out_identities(images, fraction, SEED)[1])
        except ValueError:
            return "none", fraction
        return "held_out", fraction
    return "none", fraction


def training_seconds(sizes: Sizes, device: Device, tested: int) -> float:
    """An estimate of a training and the test of `tested` images at its end."""
    area = sizes.height * sizes.width
    images = sizes.epochs * sizes.steps * sizes.batch + _EMBEDDING * tested
    if device.kind == "cpu":
        each = _TRAINING[sizes.backbone, sizes.maps] * area / (128 * 64)
        return (images * each + _STARTING) / min(device.cores, 16)
    share = 1.0 if sizes.maps else 0.4
    return images * _GPU * share * area / (256 * 128) / device.count + _STARTING


def parsing_seconds(images: int, device: Device) -> float:
    """An estimate of making the maps of the images with SegFormer."""
    each = _PARSING / min(device.cores, 16) if device.kind == "cpu" else 0.05
    return images * each


def spoken(seconds: float) -> str:
    """A time in words, of one or two digits."""
    if seconds < 90:
        return "about a minute"
    minutes = seconds / 60
    if minutes < 90:
        return f"about {minutes:.0f} minutes"
    return f"about {minutes / 60:.0f} hours"
