"""The names of scenes and occluders, for checks that import nothing heavy."""

from collections.abc import Sequence

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


def check(field: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raises ValueError if one of the names of an option is not known."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"synthetic options {field}: unknown {', '.join(map(repr, unknown))}; "
            f"known are {', '.join(known)}"
        )
