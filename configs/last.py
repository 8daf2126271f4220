r"""LaST (Shu et al., TCSVT 2022): 228,156 images of 10,862 persons in films.

  python train.py --config configs/last.py --config.data.root=/data \
      --config.data.parsing_dir=/data/parsing

Source: https://github.com/shuxjweb/last (open download), unpacked to /data/last.
Terms: academic research only.
Rank-1 / mAP as published: RLQ (BMVC 2025) 77.9 / 35.3, its best run, trained on
Celeb-reID too; FIRe2 (TIFS 2024) 75.0 / 32.2. GEFF's 78.0 / 37.2 do not compare: it
adds the queries to the gallery. MBNet's paper has none.

No camera is labelled, and clothes are in training only, some of them unknown:
docs/datasets_clothes.md. Each validation, every eval.every_epochs epochs, embeds the
21,379 images of the dataset's own validation queries and gallery.
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import base


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "last"
    c.data.name = "last"
    base.start_from_imagenet(c)
    return c
