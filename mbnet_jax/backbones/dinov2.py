"""DINOv2 (Oquab et al., TMLR 2024), with and without registers, by timm's names.

Registers are tokens that stand for nothing in the image (Darcet et al., ICLR 2024).
"""

from functools import partial

from mbnet_jax.backbones.registry import Backbone
from mbnet_jax.backbones.transformer import Kind
from mbnet_jax.backbones.weights.timm_names import published
from mbnet_jax.images import IMAGENET_MEAN, IMAGENET_STD

_dinov2 = partial(Kind, patch=14, grid=37, layer_scale=True)
_SIZES = {
    "small": partial(_dinov2, width=384, blocks=12, heads=6, hidden=1536),
    "base": partial(_dinov2, width=768, blocks=12, heads=12, hidden=3072),
    "large": partial(_dinov2, width=1024, blocks=24, heads=16, hidden=4096),
}
KINDS = {f"vit_{size}_patch14_dinov2": make() for size, make in _SIZES.items()} | {
    f"vit_{size}_patch14_reg4_dinov2": make(registers=4, class_position=False)
    for size, make in _SIZES.items()
}


def backbones() -> dict[str, Backbone]:
    """The table's entries."""
    return {
        name: published(name, kind, IMAGENET_MEAN, IMAGENET_STD)
        for name, kind in KINDS.items()
    }
