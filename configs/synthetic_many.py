"""Many synthetic people at many cameras, for a network that knows people it never met.

  python train.py --config configs/synthetic_many.py

2,000 people to train on and 150 to test on, who meet 4 of 160 cameras and 4 of 16
others; hundreds of garments, scenes, poses, things carried and worn, boxes and parsing
maps with errors (docs/synthetic.md). The network that comes with the package was
trained by it.
"""

from ml_collections import ConfigDict

from mbnet_jax.configs import synthetic

# The fields of the generator, but for sizes.
PEOPLE = {
    "train_identities": 2000,
    "test_identities": 150,
    "cameras": 4,
    "camera_pool": 160,
    "test_camera_pool": 16,
    "train_images": 1,
    "seed": 2,
    "camera_kinds": "varied",
    "backgrounds": (
        *("boxes", "street", "vegetation", "hall", "crowd"),
        *("shop", "corridor", "snow", "stairs", "platform"),
    ),
    "occluders": ("box", "pole", "side", "rail", "person", "plant", "car", "trolley"),
    "occluded": 0.15,
    "garments": 400,
    "prints": (
        *("weave", "denim", "heather", "camouflage", "floral", "polka", "zigzag"),
        *("tie_dye", "letters", "gradient", "blocks", "side_stripes", "raglan"),
        *("gingham", "hoops", "pinstripes", "marble"),
    ),
    "accessories": 0.3,
    "poses": "any",
    "box_errors": 0.3,
    "parser_errors": 0.3,
}


def get_config() -> ConfigDict:
    """Returns what differs from the config `synthetic`."""
    c = synthetic.get_config()
    c.name = "synthetic_many"
    c.data.synthetic.update(PEOPLE)
    c.data.validation_fraction = 0.05  # 100 of 2,000 identities
    return c
