r"""CUHK03, new protocol (Li et al., CVPR 2014): 1,467 persons, 2 cameras each.

  python train.py --config configs/cuhk03.py --config.data.root=/data \
      --config.data.parsing_dir=/data/parsing \
      --config.data.variant=labelled

Source: https://www.ee.cuhk.edu.hk/~xgwang/CUHK_identification.html, for research only,
with the split of Zhong et al. (CVPR 2017); /data/cuhk03-np or /data/cuhk03_release.
Boxes are detected (14,097 images) or labelled by hand (14,096): report them apart.
Best published Rank-1 / mAP that we found: labelled, LUPerson ResNet-101 75.9 / 76.0 and
MGN 68.0 / 67.4; detected, MGN 66.8 / 66.0. No clothes labels: loss.cal has to stay 0.
Layout, counts and protocol: docs/datasets_standard.md.
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import base


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "cuhk03"
    c.data.name = "cuhk03"
    base.start_from_imagenet(c)
    return c
