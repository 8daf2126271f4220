"""A second world of synthetic people: other people, cameras and clothes.

  python train.py --config configs/synthetic_b.py

Like the config `synthetic`, but drawn from another seed. Cuts of garments and the
palette that colours are drawn from are those of every seed (docs/several.md).
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import synthetic

# The generator's fields that differ from those of the config `synthetic`.
PEOPLE = {"seed": 1}


def get_config() -> ConfigDict:
    """Returns what differs from the config `synthetic`."""
    c = synthetic.get_config()
    c.name = "synthetic_b"
    c.data.synthetic.update(PEOPLE)
    return c
