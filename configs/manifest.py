r"""Your own images, listed in a CSV file: any number of persons and cameras.

  python train.py --config configs/manifest.py --config.data.root=/data/mine \
      --config.name=mine

/data/mine/manifest.csv has the columns path, pid, split and, where known, camera,
clothes, parsing; docs/datasets.md has an example. The paper has no figures for it.
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import base


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "manifest"
    c.data.name = "manifest"
    return c
