r"""VC-Clothes (Wan et al., CVPR Workshops 2020) with EVA-02-CLIP-L.

  python train.py --config configs/vc_clothes_eva02.py --config.data.root=/data \
      --config.data.parsing_dir=/data/parsing

The recipe is that of MADE, DIFFER and CSCI; `prcc_eva02.use_eva02_clip` says what of
ours differs. Not run on real images. They publish no figures on this dataset.
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import base, prcc_eva02


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "vc_clothes_eva02"
    c.data.name = "vc_clothes"
    prcc_eva02.use_eva02_clip(c)
    return c
