"""The embedded synthetic dataset at the size of a real one, for one GPU.

  python train.py --config configs/synthetic_large.py

500 people, 30,000 images of 256x128, ResNet-50. Not measured:
benchmarks/ablation/few_people.md has an estimate of its time.
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import base, synthetic


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "synthetic_large"

    synthetic.add_people(c)
    c.data.height = 256
    c.data.width = 128
    c.data.synthetic.train_identities = 400
    c.data.synthetic.test_identities = 100
    c.data.synthetic.outfits = 5
    c.data.synthetic.cameras = 6
    c.data.synthetic.train_images = 2

    c.views.crops = (256, 128)
    c.views.silhouette = (128, 64)

    c.model.dtype = "bfloat16"

    # Without ImageNet's weights the rate rises slowly, and falls to 0.
    c.train.schedule = "cosine"
    c.train.warmup_epochs = 5.0
    return c
