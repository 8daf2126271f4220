r"""PRCC (Yang et al., TPAMI 2021): 33,698 images of 221 persons, 3 cameras.

  python train.py --config configs/prcc.py --config.data.root=/data \
      --config.data.parsing_dir=/data/parsing

Source: https://www.isee-ai.cn/~yangqize/clothing.html, unpacked to /data/prcc.
MBNet's paper: Rank-1 58.3, mAP 57.9 under a change of clothes (inferred, as is the
multi-shot gallery: see docs/datasets.md, which has layout, counts and protocols).
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import base


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "prcc"
    c.data.name = "prcc"
    base.start_from_imagenet(c)
    return c
