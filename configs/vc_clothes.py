r"""VC-Clothes (Wan et al., CVPR Workshops 2020): 512 persons, 19,060 images, 4 cameras.

  python train.py --config configs/vc_clothes.py --config.data.root=/data \
      --config.data.parsing_dir=/data/parsing

Source: https://wanfb.github.io/dataset.html, unpacked to /data/VC-Clothes. Rendered
by a game's engine. MBNet's paper: Rank-1 87.2, mAP 84.0 under a change of clothes
(inferred: see docs/datasets.md, which has layout, counts and protocols).
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import base


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "vc_clothes"
    c.data.name = "vc_clothes"
    base.start_from_imagenet(c)
    return c
