"""DINOv3 (Siméoni et al., 2025), by timm's names.

It has no position embedding: queries and keys are rotated. Its weights have a licence
of their own, with terms on redistribution.
"""

from functools import partial

from mbnet_jax.backbones.registry import Backbone
from mbnet_jax.backbones.transformer import Kind
from mbnet_jax.backbones.weights.timm_names import published
from mbnet_jax.images import IMAGENET_MEAN, IMAGENET_STD

_dinov3 = partial(
    Kind,
    patch=16,
    grid=16,
    position=False,
    class_position=False,
    registers=4,
    rotary="dinov3",
    layer_scale=True,
    epsilon=1e-5,
)
_SIZES = {
    "small": partial(_dinov3, width=384, blocks=12, heads=6, hidden=1536),
    "base": partial(_dinov3, width=768, blocks=12, heads=12, hidden=3072),
    "large": partial(_dinov3, width=1024, blocks=24, heads=16, hidden=4096),
}
KINDS = {f"vit_{size}_patch16_dinov3": make(biases="") for size, make in _SIZES.items()}
KINDS |= {
    f"vit_{size}_patch16_dinov3_qkvb": make(biases="qv")
    for size, make in _SIZES.items()
}
# Trained on satellite images: other constants.
_SATELLITE = ((0.430, 0.411, 0.296), (0.213, 0.156, 0.143))


def backbones() -> dict[str, Backbone]:
    """The table's entries."""
    table = {
        name: published(name, kind, IMAGENET_MEAN, IMAGENET_STD)
        for name, kind in KINDS.items()
    }
    for name in ("vit_large_patch16_dinov3", "vit_large_patch16_dinov3_qkvb"):
        table[f"{name}.sat493m"] = published(name, KINDS[name], *_SATELLITE)
    return table
