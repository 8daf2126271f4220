"""The fields of the generator of synthetic people, `data.synthetic`.

They are a part of `base`, and nothing to train with by themselves.
"""

from ml_collections import ConfigDict

from mbnet_jax import schema
from mbnet_jax.schema import choice, real, several, text, whole


def people() -> ConfigDict:
    """The fields of `data.synthetic`."""
    c = ConfigDict()
    # People to train on; some are held out. With those to evaluate on, up to 9,999
    c.train_identities = whole(64, high=9999)
    c.test_identities = whole(32, high=9999)  # people to evaluate on
    c.outfits = whole(3, low=1, high=12)  # per identity
    c.cameras = whole(4, low=1, high=99)  # that an identity meets
    c.train_images = whole(3, low=1, high=999)  # per identity, outfit and camera
    # The same for test identities: one query, the others in the gallery
    c.test_images = whole(2, low=2, high=999)
    c.height = whole(128, low=64, high=2048)  # follows data.height
    c.width = whole(64, low=32, high=2048)  # follows data.width
    c.seed = whole(0)  # of people and pictures, not of training

    # All below are off in the config `synthetic`, and on in `synthetic_many`.

    # Cameras of training persons, each of whom meets `cameras` of them; 0: all meet the
    # same
    c.camera_pool = schema.optional(whole(0, high=9999))
    # The same for test persons. With either pool, training and test persons meet
    # different cameras.
    c.test_camera_pool = schema.optional(whole(0, high=9999))
    # "varied": heights, lenses, exposure, white balance, sharpness, noise, compression
    # and resolution of many kinds of cameras, by day and by night
    c.camera_kinds = schema.optional(choice("plain", "varied"))
    # Scenes behind the person, of synthetic.scenes.kinds.SCENES; each camera has one
    c.backgrounds = schema.optional(several(("boxes",), text(None, 1), low=1))
    # Things in front of the person, of synthetic.scenes.kinds.OCCLUDERS
    c.occluders = schema.optional(
        several(("box", "pole", "side", "rail"), text(None, 1), low=1)
    )
    # Share of the images with such a thing
    c.occluded = schema.optional(real(0.15, high=1.0))
    # Tops of the wardrobe, with as many bottoms and a quarter as many shoes; 0: the
    # small wardrobe
    c.garments = schema.optional(whole(0, high=10_000))
    # Prints in the large wardrobe, of synthetic.clothes.prints.PRINTS; (): all
    c.prints = schema.optional(several((), text(None, 1)))
    # How often an outfit has each of: hat, hood, mask, scarf, glasses, things carried
    c.accessories = schema.optional(real(0.0, high=1.0))
    # "any": standing, waiting, using a phone, running, bending, sitting, waving too
    c.poses = schema.optional(choice("walking", "any"))
    # How far boxes are off as a detector's are: too large, too small, off centre; 0:
    # hardly, 1: as a poor detector's
    c.box_errors = schema.optional(real(0.0, high=1.0))
    # How far parsing maps are off as a parser's are: ragged, with parts missing or
    # mixed up; the exact ones are then in `parsing_exact`. 0: not at all, 1: as a poor
    # parser's
    c.parser_errors = schema.optional(real(0.0, high=1.0))
    return c
