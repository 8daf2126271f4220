"""Joint training on two worlds of synthetic people, those of two other configs.

  python train.py --config configs/synthetic_two.py

The people of the configs `synthetic` and `synthetic_b`, in one training
(docs/several.md). An epoch is as long as one of each together.
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import synthetic, synthetic_b


def get_config() -> ConfigDict:
    """Returns what differs from the config `synthetic`."""
    c = synthetic.get_config()
    c.name = "synthetic_two"
    c.data.name = ("a", "b")
    c.data.parts = ConfigDict(
        {
            "a": {"name": "synthetic"},
            "b": {"name": "synthetic", "synthetic": synthetic_b.PEOPLE},
        }
    )
    return c
