r"""CCVID (Gu et al., CVPR 2022): 347,833 frames of 226 persons in 2,856 tracklets.

  python train.py --config configs/ccvid.py --config.data.root=/data \
      --config.data.parsing_dir=/data/parsing

Source: https://github.com/guxinqian/Simple-CCReID, unpacked to /data/CCVID. CC
BY-NC-SA 4.0 by the archive's readme (quoted). Tracklets are ranked, by the mean over
all their frames, without mirror images, as by the dataset's authors
(docs/datasets_video.md). Published Rank-1 / mAP, not with this project:

| method | general | clothes-changing |
|---|---|---|
| CAL (recalled) | 82.6 / 81.3 | 81.7 / 79.6 |
| CSCI, its best run; the paper's means are lower | 91.7 / 91.6 | 91.0 / 90.9 |
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import base


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "ccvid"
    c.data.name = "ccvid"
    # 118,613 frames, of which neighbours are alike: an epoch is a tenth of them.
    c.train.steps_per_epoch = 190
    c.eval.flip = False
    base.start_from_imagenet(c)
    return c
