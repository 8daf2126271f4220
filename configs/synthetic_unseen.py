"""A synthetic world that the config `synthetic_many` has nothing in common with.

  python eval.py --config configs/synthetic_unseen.py --workdir runs/synthetic_many

Its people, cameras, scenes, prints and things in front of people are others. It is for
testing networks that were trained on something else; 64 people are there to train on,
so that these can be compared with a network of its own.
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import synthetic, synthetic_many

# The generator's fields that differ from those of `synthetic_many`.
PEOPLE = {
    "train_identities": 64,
    "test_identities": 40,
    "camera_pool": 0,
    "test_camera_pool": 0,
    "train_images": 3,
    "seed": 3,
    "backgrounds": ("car_park", "glass", "beach", "yard", "office"),
    "occluders": ("umbrella", "bicycle", "bench", "bag", "sign"),
    "garments": 200,
    "prints": (
        *("tartan", "herringbone", "emblem", "photo"),
        *("bands", "leopard", "houndstooth", "argyle"),
        *("patchwork", "splatter", "yoke"),
    ),
    "accessories": 0.2,
    "box_errors": 0.2,
    "parser_errors": 0.2,
}


def get_config() -> ConfigDict:
    """Returns what differs from the config `synthetic`."""
    c = synthetic.get_config()
    c.name = "synthetic_unseen"
    c.data.synthetic.update(synthetic_many.PEOPLE | PEOPLE)
    return c
