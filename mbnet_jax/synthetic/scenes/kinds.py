"""The names of scenes and occluders, for checks that import nothing heavy."""

SCENES = (
    "boxes",
    "street",
    "vegetation",
    "hall",
    "crowd",
    "shop",
    "corridor",
    "snow",
    "stairs",
    "platform",
    "car_park",
    "glass",
    "beach",
    "yard",
    "office",
)
OCCLUDERS = (
    "box",
    "pole",
    "side",
    "rail",
    "person",
    "plant",
    "car",
    "trolley",
    "umbrella",
    "bicycle",
    "bench",
    "bag",
    "sign",
)
