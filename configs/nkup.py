r"""NKUP (Wang et al., Int. J. Intell. Syst. 2020): 9,738 images of 107 persons.

  python train.py --config configs/nkup.py --config.data.root=/data/NKUP \
      --config.data.parsing_dir=/data/parsing

Source: https://github.com/nkicsl/NKUP-dataset (open download); its three archives are
unpacked to /data/NKUP. Terms: academic purposes only. 15 cameras; no published figures
could be verified, and MBNet's paper has none: docs/datasets_clothes.md.
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import base


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "nkup"
    c.data.name = "nkup"
    base.start_from_imagenet(c)
    return c
