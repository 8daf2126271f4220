r"""Market-1501 (Zheng et al., ICCV 2015): 32,668 images of 1,501 persons, 6 cameras.

  python train.py --config configs/market1501.py --config.data.root=/data \
      --config.data.parsing_dir=/data/parsing

Source: the project page at https://zheng-lab-anu.github.io, unpacked to
/data/Market-1501-v15.09.15. For research only, not to be passed on. 12,936 images to
train on, 3,368 queries, 15,913 in the gallery without junk. Best published Rank-1 / mAP
that we found, without re-ranking: SOLIDER Swin-B (CVPR 2023) 96.9 / 93.9, TransReID-SSL
ViT-B 96.7 / 93.2, LUPerson ResNet-101 96.6 / 91.9. No clothes labels: loss.cal has to
stay 0. Layout, counts and protocol: docs/datasets_standard.md.
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import base


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "market1501"
    c.data.name = "market1501"
    base.start_from_imagenet(c)
    return c
