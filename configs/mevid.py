r"""MEVID (Davila et al., WACV 2023): 158 persons in 8,092 tracklets, 33 cameras.

  python train.py --config configs/mevid.py --config.data.root=/data \
      --config.data.parsing_dir=/data/parsing

Source: https://github.com/Kitware/MEVID, unpacked to /data/mevid. The README names no
licence; the terms of MEVA apply. Tracklets are ranked, by the mean over all their
frames, about 590 on average (docs/datasets_video.md). Published Rank-1 / mAP, general
rule, not with this project:

| method | general |
|---|---|
| CAL, in the dataset's README | 52.5 / 27.1 |
| CSCI, its best run | 79.7 / 56.7 |
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import base


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "mevid"
    c.data.name = "mevid"
    # Neighbouring frames are alike: an epoch is two of each of 6,338 tracklets.
    c.train.steps_per_epoch = 200
    c.eval.flip = False  # as for CCVID
    base.start_from_imagenet(c)
    return c
