"""The embedded synthetic dataset with a transformer, EVA-02 tiny, from random weights.

  python train.py --config configs/synthetic_eva02.py

Shows that the path works, on a laptop's CPU, without a download. Transformers need
public weights to be good: without them, and on so few images, a ResNet learns more.
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import synthetic


def get_config() -> ConfigDict:
    """Returns what differs from the config `synthetic`."""
    c = synthetic.get_config()
    c.name = "synthetic_eva02"

    # 8x4 patches of 14 pixels, as many cells as the maps of the config `synthetic`
    c.data.height = 112
    c.data.width = 56
    c.views.crops = (112, 56)
    for branch in ("global", "clothing_unrelated"):
        c.model.backbones[branch].name = "eva02_tiny_patch14_224"
    c.model.pooling = "token_avg"
    c.model.backbones.mask.pooling = "max_avg"

    c.train.epochs = 6
    c.train.optimizer = "adamw"
    c.train.learning_rate = 1e-3
    c.train.weight_decay = 0.05
    c.train.clip_norm = 1.0
    return c
