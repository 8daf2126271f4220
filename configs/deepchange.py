r"""DeepChange (Xu and Zhu, ICCV 2023): 178,407 images of 1,121 persons, 17 cameras.

  python train.py --config configs/deepchange.py --config.data.root=/data \
      --config.data.parsing_dir=/data/parsing

Source: https://github.com/PengBoXiangShang/deepchange (on request), unpacked to
/data/DeepChangeDataset. Terms: a signed agreement; research that is not commercial, no
redistribution, faces hidden in what is published.
Rank-1 / mAP as published: RLQ (BMVC 2025) 59.2 / 22.5; FIRe2 (TIFS 2024) 57.9 / 20.0.
MBNet's paper has none.

Clothes are not labelled, and images of the query's tracklet are left out of the
gallery, not those of its camera: docs/datasets_clothes.md. Each validation, every
eval.every_epochs epochs, embeds the dataset's own validation queries and gallery.
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import base


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "deepchange"
    c.data.name = "deepchange"
    base.start_from_imagenet(c)
    return c
