"""The embedded synthetic dataset: all of MBNet in minutes on a laptop's CPU.

  python train.py --config configs/synthetic.py

Needs no download. The figures show that the code works and how the modules compare;
they say nothing about real cameras.
"""

from mbnet_jax.configs.people import people
from ml_collections import ConfigDict

from mbnet_jax import schema
from mbnet_jax.configs import base


def add_people(c: ConfigDict) -> None:
    """Adds the fields of the generator of synthetic people to a config."""
    c.data.name = "synthetic"
    c.data.synthetic = schema.defaults(people())
    for side in ("height", "width"):  # the images have the size that is asked for
        c.data.synthetic[side] = c.data.get_ref(side)


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "synthetic"

    c.data.height = 128
    c.data.width = 64
    c.data.validation_fraction = 0.125  # 8 of 64 identities

    add_people(c)

    # The steps are too few for harder images.
    c.augment.crop = 0.0
    c.augment.erase = 0.0

    c.views.crops = (128, 64)
    c.views.silhouette = (64, 32)

    for branch in ("global", "clothing_unrelated"):
        c.model.backbones[branch].update(name="resnet10", width=32, stem="patch")
    c.model.backbones.mask.update(name="resnet10", width=16, stem="small")
    c.model.fusion_width = 64
    c.model.fusion_heads = 4

    c.loss.cal_start_epoch = 4  # of 10, as CAL's 25 of 60

    c.train.batch_size = 32
    c.train.epochs = 10
    c.train.schedule = "cosine"
    c.train.learning_rate = 2e-3
    c.train.warmup_epochs = 1.0
    return c
