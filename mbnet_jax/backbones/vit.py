"""ViT (Dosovitskiy et al., ICLR 2021) and the image towers of CLIP, by timm's names.

CLIP (Radford et al., ICML 2021) has a norm before the first block, and patches without
a bias. OpenAI's weights, and some others, need "quickgelu" in the name: timm has them
under the other name too, with another activation than that which they were trained
with.
"""

from functools import partial

from mbnet_jax.backbones.eva02 import CLIP_MEAN, CLIP_STD
from mbnet_jax.backbones.registry import Backbone
from mbnet_jax.backbones.transformer import Kind
from mbnet_jax.backbones.weights.timm_names import published
from mbnet_jax.images import IMAGENET_MEAN, IMAGENET_STD

_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_CLIP = (CLIP_MEAN, CLIP_STD)
_IMAGENET = (IMAGENET_MEAN, IMAGENET_STD)

_sizes = {
    "tiny": partial(Kind, width=192, blocks=12, heads=3, hidden=768),
    "small": partial(Kind, width=384, blocks=12, heads=6, hidden=1536),
    "base": partial(Kind, width=768, blocks=12, heads=12, hidden=3072),
    "large": partial(Kind, width=1024, blocks=24, heads=16, hidden=4096),
}
KINDS = {
    f"vit_{size}_patch16_{pixels}": make(patch=16, grid=pixels // 16)
    for size, make in _sizes.items()
    for pixels in (224, 384)
}
_clip = {"patch_bias": False, "first_norm": True, "epsilon": 1e-5}
CLIP_KINDS = {
    f"vit_{size}_patch{patch}_clip_{suffix}{pixels}": _sizes[size](
        patch=patch, grid=pixels // patch, activation=activation, **_clip
    )
    for size, patch, pixels in (
        ("base", 16, 224),
        ("large", 14, 224),
        ("large", 14, 336),
    )
    for suffix, activation in (("", "gelu"), ("quickgelu_", "quick_gelu"))
}
# Tags whose input is scaled in another way than that of the rest.
_TAGS = {
    "vit_small_patch16_224.dino": _IMAGENET,
    "vit_base_patch16_224.dino": _IMAGENET,
    "vit_base_patch16_224.mae": _IMAGENET,
    "vit_large_patch16_224.mae": _IMAGENET,
    "vit_base_patch16_224.bamboo": _CLIP,
} | {
    f"vit_large_patch14_clip_{rest}": _HALF
    for rest in (
        *("224.laion2b", "224.laion2b_ft_in12k", "224.laion2b_ft_in1k"),
        *("224.laion2b_ft_in12k_in1k", "336.laion2b_ft_in1k"),
        "336.laion2b_ft_in12k_in1k",
    )
}


def backbones() -> dict[str, Backbone]:
    """The table's entries: a name alone has the constants of most of its tags."""
    table = {name: published(name, kind, *_HALF) for name, kind in KINDS.items()}
    for name, kind in CLIP_KINDS.items():
        table[name] = published(name, kind, *_CLIP)
    for tagged, constants in _TAGS.items():
        name = tagged.partition(".")[0]
        table[tagged] = published(name, (KINDS | CLIP_KINDS)[name], *constants)
    return table
