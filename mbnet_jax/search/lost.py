"""What is lost without parsing maps, in words."""

from collections.abc import Sequence

from mbnet_jax.models.branches import BRANCHES

# What the user of `Embedder` does to have maps.
GIVE_MAPS = (
    "give `parsing`, a map for each image, or let a parser make them: "
    'Embedder.load(..., parser="segformer")'
)
# Clothes-changing mAP on synthetic people, in per cent:
# benchmarks/ablation/few_people.md.
GLOBAL, ALL = 6.5, 32.7


def warning(needing: Sequence[str], others: Sequence[str], remedy: str) -> str:
    """That only `others` embed, without the branches `needing` maps."""
    used = " and ".join(f"the {BRANCHES[branch].title}" for branch in others)
    text = f"no parsing maps: embedding with {used} alone, without "
    text += " and ".join(needing)
    if tuple(others) == ("global",):
        text += (
            ". It finds people by their clothes: on synthetic people who changed them, "
            f"its mAP is {GLOBAL} %, that of all branches {ALL} % (docs/evidence.md)"
        )
    return f"{text}. For more, {remedy}"


def cannot(needing: Sequence[str], others: Sequence[str], remedy: str) -> str:
    """That the branches `needing` maps were asked for, and there are none."""
    return (
        f"{', '.join(map(repr, needing))} cannot embed without parsing maps: {remedy}"
        + (f"; or take the branches {', '.join(others)} alone" if others else "")
    )
