r"""Celeb-reID (Huang et al., TCSVT 2019): 34,186 images of 1,052 persons, no cameras.

  python train.py --config configs/celeb_reid.py --config.data.root=/data \
      --config.data.parsing_dir=/data/parsing

Source: https://github.com/Huang-3/Celeb-reID (open download), unpacked to
/data/Celeb-reID. Terms: research only, no redistribution.
Rank-1 / mAP as published, under rules that differ (docs/datasets_clothes.md): CSSC
(ICASSP 2025) 64.5 / 17.3; FIRe2 (TIFS 2024) 64.0 / 18.2; ReIDCaps, of the dataset's
authors, 63.0 / 15.8 with another average precision. MBNet's paper has none.
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import base


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "celeb_reid"
    c.data.name = "celeb_reid"
    base.start_from_imagenet(c)
    return c
