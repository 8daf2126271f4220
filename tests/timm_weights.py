"""timm's transformers without PyTorch: names, shapes, random weights, images.

`tests/data/transformer_features.npz` holds features of timm's networks with these
weights for these images. `python tests/timm_twin.py`, which needs timm, wrote it.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mbnet_jax.backbones import dinov2, dinov3, eva02, vit

FEATURES = Path(__file__).parent / "data" / "transformer_features.npz"

# Those of the published files, without heads, by timm's models. D: width, H: hidden
# width of the MLP, T: entries of the position embedding, P: patch, N: a block's number.
_ALL = {
    "patch_embed.proj.weight": "D 3 P P",
    "blocks.N.norm1.weight": "D",
    "blocks.N.norm1.bias": "D",
    "blocks.N.norm2.weight": "D",
    "blocks.N.norm2.bias": "D",
    "blocks.N.attn.proj.weight": "D D",
    "blocks.N.attn.proj.bias": "D",
    "blocks.N.mlp.fc2.weight": "D H",
    "blocks.N.mlp.fc2.bias": "D",
    "cls_token": "1 1 D",
}
_BIAS = {"patch_embed.proj.bias": "D"}
_POSITIONS = {"pos_embed": "1 T D"}
_NORM = {"norm.weight": "D", "norm.bias": "D"}
_FC_NORM = {"fc_norm.weight": "D", "fc_norm.bias": "D"}
_PACKED = {"blocks.N.attn.qkv.weight": "3D D", "blocks.N.attn.qkv.bias": "3D"}
_PLAIN = {"blocks.N.mlp.fc1.weight": "H D", "blocks.N.mlp.fc1.bias": "H"}
_QV = {"blocks.N.attn.q_bias": "D", "blocks.N.attn.v_bias": "D"}
_SEPARATE = {
    "blocks.N.attn.q_proj.weight": "D D",
    "blocks.N.attn.q_proj.bias": "D",
    "blocks.N.attn.k_proj.weight": "D D",
    "blocks.N.attn.v_proj.weight": "D D",
    "blocks.N.attn.v_proj.bias": "D",
    "blocks.N.mlp.fc1_g.weight": "H D",
    "blocks.N.mlp.fc1_g.bias": "H",
    "blocks.N.mlp.fc1_x.weight": "H D",
    "blocks.N.mlp.fc1_x.bias": "H",
    "blocks.N.mlp.norm.weight": "H",
    "blocks.N.mlp.norm.bias": "H",
}
_MIM_SMALL = {
    "blocks.N.attn.qkv.weight": "3D D",
    "blocks.N.mlp.fc1.weight": "2H D",
    "blocks.N.mlp.fc1.bias": "2H",
}
_CLIP_NORM = {"blocks.N.attn.norm.weight": "D", "blocks.N.attn.norm.bias": "D"}
_VIT = _ALL | _BIAS | _POSITIONS | _NORM | _PACKED | _PLAIN
FAMILIES = {
    "eva02_mim_small": _ALL | _BIAS | _POSITIONS | _FC_NORM | _QV | _MIM_SMALL,
    "eva02_mim_large": _ALL | _BIAS | _POSITIONS | _FC_NORM | _SEPARATE,
    "eva02_clip": _ALL | _BIAS | _POSITIONS | _NORM | _SEPARATE | _CLIP_NORM,
    "vit": _VIT,
    "clip": {k: v for k, v in _VIT.items() if k not in _BIAS}
    | {"norm_pre.weight": "D", "norm_pre.bias": "D"},
    "dinov2": _VIT | {"blocks.N.ls1.gamma": "D", "blocks.N.ls2.gamma": "D"},
    "dinov3": _ALL
    | _BIAS
    | _NORM
    | _PLAIN
    | {"blocks.N.attn.qkv.weight": "3D D", "reg_token": "1 4 D"}
    | {"blocks.N.gamma_1": "D", "blocks.N.gamma_2": "D"},
}
FAMILIES["dinov2_reg4"] = FAMILIES["dinov2"] | {"reg_token": "1 4 D"}
FAMILIES["dinov3_qkvb"] = FAMILIES["dinov3"] | _QV

# timm's name: (family, blocks, D, H, T, patch; parameters and arrays in the file)
PUBLISHED = {
    "eva02_tiny_patch14_224": ("eva02_mim_small", 12, 192, 512, 257, 14),
    "eva02_small_patch14_224": ("eva02_mim_small", 12, 384, 1024, 257, 14),
    "eva02_base_patch14_224": ("eva02_mim_large", 12, 768, 2048, 257, 14),
    "eva02_large_patch14_224": ("eva02_mim_large", 24, 1024, 2730, 257, 14),
    "eva02_base_patch16_clip_224": ("eva02_clip", 12, 768, 2048, 197, 16),
    "eva02_large_patch14_clip_224": ("eva02_clip", 24, 1024, 2730, 257, 14),
    "eva02_large_patch14_clip_336": ("eva02_clip", 24, 1024, 2730, 577, 14),
    "vit_tiny_patch16_224": ("vit", 12, 192, 768, 197, 16),
    "vit_small_patch16_224": ("vit", 12, 384, 1536, 197, 16),
    "vit_base_patch16_224": ("vit", 12, 768, 3072, 197, 16),
    "vit_large_patch16_224": ("vit", 24, 1024, 4096, 197, 16),
    "vit_base_patch16_clip_224": ("clip", 12, 768, 3072, 197, 16),
    "vit_base_patch16_clip_quickgelu_224": ("clip", 12, 768, 3072, 197, 16),
    "vit_large_patch14_clip_224": ("clip", 24, 1024, 4096, 257, 14),
    "vit_small_patch14_dinov2": ("dinov2", 12, 384, 1536, 1370, 14),
    "vit_base_patch14_dinov2": ("dinov2", 12, 768, 3072, 1370, 14),
    "vit_large_patch14_dinov2": ("dinov2", 24, 1024, 4096, 1370, 14),
    "vit_small_patch14_reg4_dinov2": ("dinov2_reg4", 12, 384, 1536, 1369, 14),
    "vit_base_patch14_reg4_dinov2": ("dinov2_reg4", 12, 768, 3072, 1369, 14),
    "vit_large_patch14_reg4_dinov2": ("dinov2_reg4", 24, 1024, 4096, 1369, 14),
    "vit_small_patch16_dinov3": ("dinov3", 12, 384, 1536, 0, 16),
    "vit_base_patch16_dinov3": ("dinov3", 12, 768, 3072, 0, 16),
    "vit_large_patch16_dinov3": ("dinov3", 24, 1024, 4096, 0, 16),
    "vit_small_patch16_dinov3_qkvb": ("dinov3_qkvb", 12, 384, 1536, 0, 16),
}

# One of each family; in the tests it has two blocks of two heads of 32 channels.
SMALL = {
    "eva02_tiny_patch14_224": 170,
    "eva02_large_patch14_224": 170,
    "eva02_base_patch16_clip_224": 170,
    "vit_tiny_patch16_224": 256,
    "vit_base_patch16_clip_224": 256,
    "vit_base_patch16_clip_quickgelu_224": 256,
    "vit_small_patch14_dinov2": 256,
    "vit_small_patch14_reg4_dinov2": 256,
    "vit_small_patch16_dinov3": 256,
    "vit_small_patch16_dinov3_qkvb": 256,
}
WIDTH, BLOCKS, HEADS = 64, 2, 2


def small_kind(name: str):
    """The switches of a small network of the family of timm's model `name`."""
    kinds = eva02.KINDS | dinov2.KINDS | dinov3.KINDS | vit.KINDS | vit.CLIP_KINDS
    sizes = {"width": WIDTH, "blocks": BLOCKS, "heads": HEADS, "hidden": SMALL[name]}
    return replace(kinds[name], **sizes)


def sizes(name: str) -> tuple[tuple[int, int], ...]:
    """Two sizes of images, height and width: 224x224 and portrait."""
    return (224, 224), (252, 126) if "patch14" in name else (256, 128)


def shapes(name: str, small: bool = False) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the arrays in the file of timm's model, without heads."""
    family, blocks, d, hidden, tokens, patch = PUBLISHED[name]
    if small:
        blocks, d, hidden = BLOCKS, WIDTH, SMALL[name]
    letters = {"D": d, "H": hidden, "T": tokens, "P": patch}
    letters |= {"3D": 3 * d, "2H": 2 * hidden}
    found = {}
    for key, axes in FAMILIES[family].items():
        shape = tuple(letters.get(axis) or int(axis) for axis in axes.split())
        numbers = range(blocks) if ".N." in key else [0]
        found |= {key.replace(".N.", f".{i}."): shape for i in numbers}
    return found


def generate(name: str) -> dict[str, np.ndarray]:
    """Random weights of a small network, the same on every machine.

    The tokens, and so the variances of the first norms, are small, so that a wrong
    epsilon shows. NumPy guarantees that the numbers of `RandomState` never change.
    """
    rng = np.random.RandomState(len(name))
    weights = {}
    for key, shape in sorted(shapes(name, small=True).items()):
        unit = rng.random_sample(shape) * 2 - 1
        if key.endswith(("token", "pos_embed")) or key.startswith("patch_embed"):
            value = unit / 100
        elif len(shape) > 1:
            value = unit * np.sqrt(3 / shape[1])
        elif key.endswith("bias"):
            value = unit / 3
        else:  # norms' and LayerScale's
            value = 1 + unit / 3
        weights[key] = value.astype(np.float32)
    return weights


def image(size: tuple[int, int]) -> np.ndarray:
    """One image, float32 [1, height, width, 3]."""
    rng = np.random.RandomState(1)
    return rng.standard_normal((1, *size, 3)).astype(np.float32)
