"""Files of other programs than timm: renamed, their weights are the same."""

import re

import jax
import numpy as np
import pytest
import timm_weights as reference
from small_transformers import converted

CLIP = "eva02_base_patch16_clip_224"


def renamed(weights, *rules, prefix=""):
    found = {}
    for name, value in weights.items():
        for pattern, new in rules:
            name = re.sub(pattern, new, name)
        found[prefix + name] = value
    return found


TEXT = {"text.blocks.0.weight": np.zeros(2), "logit_scale": np.array(4.6)}


def open_clip(weights):
    return renamed(weights, prefix="visual.trunk.") | TEXT


def baai_clip(weights):
    found = renamed(
        weights,
        (r"attn\.norm", "attn.inner_attn_ln"),
        (r"mlp\.norm", "mlp.ffn_ln"),
        (r"mlp\.fc1_g", "mlp.w1"),
        (r"mlp\.fc1_x", "mlp.w2"),
        (r"mlp\.fc2", "mlp.w3"),
        (r"attn\.([qv])_proj\.bias", r"attn.\1_bias"),
        prefix="visual.",
    )
    for place in ("visual", "visual.blocks.0.attn"):
        found |= {f"{place}.rope.freqs_{f}": np.ones((196, 64)) for f in ("cos", "sin")}
    return found | TEXT


def baai_mim(weights):
    found = renamed(
        weights,
        (r"mlp\.fc1_g", "mlp.w1"),
        (r"mlp\.fc1_x", "mlp.w2"),
        (r"mlp\.fc1\.", "mlp.w12."),
        (r"mlp\.fc2", "mlp.w3"),
        (r"fc_norm", "norm"),
        (r"attn\.([qv])_proj\.bias", r"attn.\1_bias"),
    )
    return found | {
        "mask_token": np.zeros((1, 1, 64)),
        "lm_head.weight": np.zeros((9, 64)),
        "lm_head.bias": np.zeros(9),
    }


def openai(weights):
    found = renamed(
        weights,
        (r"^cls_token", "class_embedding"),
        (r"^pos_embed", "positional_embedding"),
        (r"^patch_embed\.proj", "conv1"),
        (r"^norm_pre", "ln_pre"),
        (r"^norm\.", "ln_post."),
        (r"\.norm([12])\.", r".ln_\1."),
        (r"attn\.qkv\.", "attn.in_proj_"),
        (r"attn\.proj", "attn.out_proj"),
        (r"mlp\.fc1", "mlp.c_fc"),
        (r"mlp\.fc2", "mlp.c_proj"),
        (r"^blocks\.", "transformer.resblocks."),
        prefix="visual.",
    )
    found["visual.class_embedding"] = found["visual.class_embedding"][0, 0]
    found["visual.positional_embedding"] = found["visual.positional_embedding"][0]
    text = {
        "transformer.resblocks.0.ln_1.weight": np.zeros(2),
        "token_embedding.weight": np.zeros((9, 2)),
        "positional_embedding": np.zeros((77, 2)),
        "ln_final.bias": np.zeros(2),
        "text_projection": np.zeros((2, 2)),
        "logit_scale": np.array(4.6),
    }
    return found | text | {"visual.proj": np.zeros((64, 3))}


def meta_dinov2(weights):
    found = dict(weights)
    if "reg_token" in found:
        first = np.float32(0.25) * np.ones((1, 1, 64), np.float32)
        found["register_tokens"] = found.pop("reg_token")
        found["pos_embed"] = np.concatenate([first, found["pos_embed"]], axis=1)
        found["cls_token"] = found["cls_token"] - first
    return found | {"mask_token": np.zeros((1, 64))}


def meta_dinov3(weights):
    found = renamed(
        weights, (r"gamma_([12])", r"ls\1.gamma"), (r"^reg_token", "storage_tokens")
    )
    for i in range(reference.BLOCKS):
        block = f"blocks.{i}.attn"
        q, v = (found.pop(f"{block}.{n}_bias", np.zeros(64)) for n in "qv")
        found[f"{block}.qkv.bias"] = np.concatenate([q, np.ones(64), v])
        found[f"{block}.qkv.bias_mask"] = np.full(192, np.nan)
    return found | {
        "mask_token": np.zeros((1, 64)),
        "rope_embed.periods": np.ones(16),
        "local_cls_norm.weight": np.ones(64),
    }


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        (open_clip, CLIP),
        (open_clip, "vit_base_patch16_clip_224"),
        (baai_clip, CLIP),
        (baai_mim, "eva02_tiny_patch14_224"),
        (baai_mim, "eva02_large_patch14_224"),
        (openai, "vit_base_patch16_clip_quickgelu_224"),
        (meta_dinov2, "vit_small_patch14_dinov2"),
        (meta_dinov2, "vit_small_patch14_reg4_dinov2"),
        (meta_dinov3, "vit_small_patch16_dinov3"),
        (meta_dinov3, "vit_small_patch16_dinov3_qkvb"),
    ],
)
def test_other_spellings_give_the_same(spelling, name):
    theirs = spelling(reference.generate(name))
    jax.tree.map(
        # Meta's sum of the class token and its position is rounded.
        lambda one, other: np.testing.assert_allclose(one, other, rtol=0, atol=1e-7),
        converted(name, theirs),
        converted(name),
    )
