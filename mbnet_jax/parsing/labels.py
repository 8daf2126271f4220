"""The canonical human parsing labels: one part of the person per pixel.

Every decoded parsing map is a uint8 array [H, W] of these labels. Other label sets
(`label_sets.py`) are translated to them as maps are decoded.
"""

BACKGROUND = 0
HEAD = 1  # hair, face, hat, glasses
UPPER_CLOTHES = 2  # shirt, coat, dress, jumpsuit, scarf, skin of the torso
LOWER_CLOTHES = 3  # trousers, skirt
ARMS = 4  # arms and hands, gloves too
LEGS = 5  # skin of the legs, socks
SHOES = 6
CARRIED = 7  # bags

NAMES = (
    "background",
    "head",
    "upper clothes",
    "lower clothes",
    "arms",
    "legs",
    "shoes",
    "carried",
)
NUM_LABELS = len(NAMES)

# What a change of clothes does not affect (shoes may change, but rarely within a
# day): the area that KTM's gate is trained to lie on.
CLOTHING_UNRELATED = (HEAD, ARMS, LEGS, SHOES)
CLOTHING = (UPPER_CLOTHES, LOWER_CLOTHES)
# The labels of each part that the view of the clothing-unrelated branch crops.
HEAD_PART = (HEAD,)
LEGS_PART = (LEGS, SHOES)
CROPPED = (HEAD_PART, LEGS_PART)

# Label -> RGB, uint8, for pictures of parsing maps.
PALETTE = (
    (0, 0, 0),
    (235, 180, 60),
    (190, 50, 50),
    (50, 80, 190),
    (240, 130, 150),
    (60, 170, 90),
    (140, 80, 170),
    (120, 120, 120),
)
