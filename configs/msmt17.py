r"""MSMT17 (Wei et al., CVPR 2018): 126,441 images of 4,101 persons, 15 cameras.

  python train.py --config configs/msmt17.py --config.data.root=/data \
      --config.data.parsing_dir=/data/parsing \
      --config.data.variant=v2

Source: its authors, on request and under an agreement, for research only; unpacked to
/data/MSMT17_V1 or /data/MSMT17_V2 (faces masked). 11,659 queries, 82,161 in the
gallery.

It trains on list_train alone, 30,248 images, as torchreid does by default; list_val,
2,373 other images of the same persons, selects the checkpoint. TransReID trains on
both, 32,621 images, for which validation has to be another or none:
--config.data.train_with_val=True --config.data.validation=none. Papers seldom say
which.

Best published Rank-1 / mAP that we found, without re-ranking: SOLIDER Swin-B (CVPR
2023) 90.7 / 77.1, TransReID-SSL 89.6 / 75.0, LUPerson ResNet-101 86.3 / 68.4. No
clothes labels: loss.cal has to stay 0. Layout, counts: docs/datasets_standard.md.
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import base


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "msmt17"
    c.data.name = "msmt17"
    base.start_from_imagenet(c)
    return c
