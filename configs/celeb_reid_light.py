r"""Celeb-reID-light (Huang et al., IJCNN 2019): 10,842 images of 590 persons.

  python train.py --config configs/celeb_reid_light.py --config.data.root=/data \
      --config.data.parsing_dir=/data/parsing

Source: https://github.com/Huang-3/Celeb-reID (open download), unpacked to
/data/Celeb-reID-light. Terms: research only, no redistribution.
Published figures could not be verified; a Rank-1 of 66.0 is quoted of MIPL (arXiv
2411.00330). Rules differ: docs/datasets_clothes.md. MBNet's paper has none.
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import celeb_reid


def get_config() -> ConfigDict:
    """Returns Celeb-reID's config for the other dataset."""
    c = celeb_reid.get_config()
    c.name = "celeb_reid_light"
    c.data.name = "celeb_reid_light"
    return c
