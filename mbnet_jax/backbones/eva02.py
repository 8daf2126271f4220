"""EVA-02 (Fang et al., 2024) and EVA-02-CLIP (Sun et al., 2023), by timm's names."""

import functools

from mbnet_jax.backbones.registry import Backbone
from mbnet_jax.backbones.transformer import Kind, Transformer

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

_eva = functools.partial(Kind, gated=True, biases="qv", rotary=True)
_plain = functools.partial(_eva, patch=14, grid=16, last_norm=False)
_normed = functools.partial(_eva, attention_norm=True, mlp_norm=True)
KINDS = {
    "eva02_tiny_patch14_224": _plain(width=192, blocks=12, heads=3, hidden=512),
    "eva02_small_patch14_224": _plain(width=384, blocks=12, heads=6, hidden=1024),
    "eva02_base_patch16_clip_224": _normed(
        patch=16, grid=14, width=768, blocks=12, heads=12, hidden=2048
    ),
    "eva02_large_patch14_clip_224": _normed(
        patch=14, grid=16, width=1024, blocks=24, heads=16, hidden=2730
    ),
}


def backbone(kind: Kind) -> Backbone:
    """The table's entry of an EVA-02 network."""
    return Backbone(
        make=functools.partial(Transformer, kind),
        fields=("drop_path", "remat", "remat_keeps"),
        mean=CLIP_MEAN,
        std=CLIP_STD,
    )
