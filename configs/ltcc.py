r"""LTCC (Qian et al., ACCV 2020): 17,119 images of 152 persons, 12 cameras.

  python train.py --config configs/ltcc.py --config.data.root=/data \
      --config.data.parsing_dir=/data/parsing

Source: https://naiq.github.io/LTCC_Perosn_ReID.html, unpacked to /data/LTCC_ReID.
MBNet's paper: Rank-1 44.6, mAP 22.7 under a change of clothes (inferred: see
docs/datasets.md, which has layout, counts and protocols).
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import base


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "ltcc"
    c.data.name = "ltcc"
    base.start_from_imagenet(c)
    return c
