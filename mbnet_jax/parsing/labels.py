"""The canonical human parsing labels: one part of the person per pixel.

Every parsing map inside the project is a uint8 array [H, W] of these labels;
other label sets are translated to it when a dataset is read.
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

# What a change of clothes leaves as it was (shoes may change, yet mostly do
# not within a day): the area that the global branch is taught to look at.
CLOTHING_UNRELATED = (HEAD, ARMS, LEGS, SHOES)
CLOTHING = (UPPER_CLOTHES, LOWER_CLOTHES)

# One colour per label, for pictures of parsing maps (RGB, uint8).
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
