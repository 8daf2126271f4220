r"""LTCC (Qian et al., ACCV 2020) with EVA-02-CLIP-L on the colour branches.

  python train.py --config configs/ltcc_eva02.py --config.data.root=/data \
      --config.data.parsing_dir=/data/parsing

The recipe is that of MADE, DIFFER and CSCI; `prcc_eva02.use_eva02_clip` says what of
ours differs. Not run on real images. Published figures under a change of clothes, by
the dataset's usual rules:

| method | Rank-1 / mAP |
|---|---|
| EVA-02-CLIP-L alone, in MADE's repository | 43.6 / 23.5 |
| EVA-02-CLIP-L alone, in CSCI's paper (q) | 44.9 / 23.1 |
| MADE | 47.4 / 24.4 |
| CSCI, mean of two runs (q); its best run | 47.8 / 24.4; 50.3 / 25.9 |
| DIFFER (q) | 58.2 / 31.6 |
| Ortho-ReID (2026) (q): identity losses alone; all of it | 52.2 / -; 56.1 / 30.2 |

(q): quoted from a paper; the others are printed in the authors' repositories.
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import base, prcc_eva02


def get_config() -> ConfigDict:
    """Returns what differs from the base config."""
    c = base.get_config()
    c.name = "ltcc_eva02"
    c.data.name = "ltcc"
    prcc_eva02.use_eva02_clip(c)
    return c
