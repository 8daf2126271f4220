"""EVA-02 (Fang et al., 2024) and EVA-02-CLIP (Sun et al., 2023), by timm's names."""

from functools import partial

from mbnet_jax.backbones.registry import Backbone
from mbnet_jax.backbones.transformer import Kind
from mbnet_jax.backbones.weights.timm_names import published

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

_eva = partial(Kind, gated=True, biases="qv", rotary="eva")
# Masked image modelling. timm pools the cells' mean, which it then normalises
# (`fc_norm`), so these have no norm after the blocks.
_mim = partial(_eva, patch=14, last_norm=False)
_tiny = partial(_mim, width=192, blocks=12, heads=3, hidden=512)
_small = partial(_mim, width=384, blocks=12, heads=6, hidden=1024)
_base = partial(
    _mim, width=768, blocks=12, heads=12, hidden=2048, mlp_norm=True, packed=False
)
_large = partial(
    _mim, width=1024, blocks=24, heads=16, hidden=2730, mlp_norm=True, packed=False
)
_clip_base = partial(_base, patch=16, attention_norm=True, last_norm=True)
_clip_large = partial(_large, attention_norm=True, last_norm=True)
KINDS = {
    "eva02_tiny_patch14_224": _tiny(grid=16),
    "eva02_tiny_patch14_336": _tiny(grid=24),
    "eva02_small_patch14_224": _small(grid=16),
    "eva02_small_patch14_336": _small(grid=24),
    "eva02_base_patch14_224": _base(grid=16),
    "eva02_base_patch14_448": _base(grid=32),
    "eva02_large_patch14_224": _large(grid=16),
    "eva02_large_patch14_448": _large(grid=32),
    "eva02_base_patch16_clip_224": _clip_base(grid=14),
    "eva02_large_patch14_clip_224": _clip_large(grid=16),
    "eva02_large_patch14_clip_336": _clip_large(grid=24),
}


def backbones() -> dict[str, Backbone]:
    """The table's entries: all were trained with CLIP's constants."""
    return {
        name: published(name, kind, CLIP_MEAN, CLIP_STD) for name, kind in KINDS.items()
    }
