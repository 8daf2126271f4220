"""Transformers' weights files with other names than timm's, renamed to those.

They are those of open_clip, OpenAI's CLIP, BAAI's EVA-02 and EVA-CLIP, and Meta's
DINOv2 and DINOv3.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

# A file of CLIP's two towers: the image tower's prefix, and the other names.
_TOWERS = ("visual.trunk.", "visual.")
_TEXT = re.compile(
    r"text\..*|transformer\..*|token_embedding\..*|ln_final\..*|text_projection(\..*)?"
    r"|positional_embedding|logit_(scale|bias)|attn_mask|input_resolution"
    r"|context_length|vocab_size|visual\.head\..*"
)
# Heads, what only masked pretraining uses, and tables that are computed.
_LEFT_OUT = re.compile(
    r"(head|fc_norm|lm_head|local_cls_norm|pre_logits)\..*|mask_token"
    r"|(.*\.)?rope\.freqs_(cos|sin)|(.*\.)?rope_embed\.periods|.*\.bias_mask"
)
_OPENAI = {
    r"class_embedding": "cls_token",
    r"positional_embedding": "pos_embed",
    r"conv1\.(.*)": r"patch_embed.proj.\1",
    r"ln_pre\.(.*)": r"norm_pre.\1",
    r"ln_post\.(.*)": r"norm.\1",
    r"proj": r"head.weight",
    r"transformer\.resblocks\.(\d+)\.ln_([12])\.(.*)": r"blocks.\1.norm\2.\3",
    r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(.*)": r"blocks.\1.attn.qkv.\2",
    r"transformer\.resblocks\.(\d+)\.attn\.out_proj\.(.*)": r"blocks.\1.attn.proj.\2",
    r"transformer\.resblocks\.(\d+)\.mlp\.c_fc\.(.*)": r"blocks.\1.mlp.fc1.\2",
    r"transformer\.resblocks\.(\d+)\.mlp\.c_proj\.(.*)": r"blocks.\1.mlp.fc2.\2",
}
_BAAI = {
    r"(.*\.attn)\.inner_attn_ln\.(.*)": r"\1.norm.\2",
    r"(.*\.mlp)\.ffn_ln\.(.*)": r"\1.norm.\2",
    r"(.*\.mlp)\.w12\.(.*)": r"\1.fc1.\2",
    r"(.*\.mlp)\.w1\.(.*)": r"\1.fc1_g.\2",
    r"(.*\.mlp)\.w2\.(.*)": r"\1.fc1_x.\2",
    r"(.*\.mlp)\.w3\.(.*)": r"\1.fc2.\2",
}
_SEPARATE = {r"(.*\.attn)\.([qv])_bias": r"\1.\2_proj.bias"}
_DINOV3 = {r"storage_tokens": "reg_token", r"(.*)\.ls([12])\.gamma": r"\1.gamma_\2"}

Arrays = dict[str, np.ndarray]


def left_out(names: Iterable[str]) -> str:
    """What of a file with these names no backbone takes, to be said; "" if nothing."""
    names = [*names]
    if not any(name.startswith(_TOWERS) for name in names):
        return ""
    text = any(re.match(r"text\.|token_embedding\.", name) for name in names)
    return "its text tower is left out" if text else ""


def with_timm_names(weights: Mapping[str, np.ndarray], *, last_norm: bool) -> Arrays:
    """Renames a file's arrays to timm's names, and leaves out what is not the backbone.

    That is: the text tower, heads (`head`, `lm_head`), the norm of pooled cells
    (`fc_norm`), the mask token, rotary tables.

    Args:
      weights: as the file has them.
      last_norm: whether the network has a norm after its blocks. Where it has none,
        that of a file of masked pretraining is left out.
    """
    tower = next((t for t in _TOWERS if any(n.startswith(t) for n in weights)), "")
    own = {
        name.removeprefix(tower): value
        for name, value in weights.items()
        if not (tower and not name.startswith(tower) and _TEXT.fullmatch(name))
    }
    if "class_embedding" in own:
        own = _renamed(own, _OPENAI)
        own |= {
            name: own[name].reshape(1, -1, own[name].shape[-1])
            for name in ("cls_token", "pos_embed")
            if name in own
        }
    elif "storage_tokens" in own:
        own = _without_packed_bias(_renamed(own, _DINOV3))
    elif "register_tokens" in own:
        own = _with_registers(own)
    else:
        own = _renamed(own, _BAAI)
        if any(name.endswith("attn.q_proj.weight") for name in own):
            own = _renamed(own, _SEPARATE)
        if "mask_token" in own and not last_norm:
            own = {k: v for k, v in own.items() if not k.startswith("norm.")}
    return {k: v for k, v in own.items() if not _LEFT_OUT.fullmatch(k)}


def _renamed(weights: Mapping[str, Any], rules: Mapping[str, str]) -> dict[str, Any]:
    """The arrays by new names: of the first rule that matches the whole name."""
    compiled = [(re.compile(pattern), new) for pattern, new in rules.items()]
    found = {}
    for name, value in weights.items():
        matches = ((rule.fullmatch(name), new) for rule, new in compiled)
        match, new = next(((m, new) for m, new in matches if m), (None, ""))
        found[match.expand(new) if match else name] = value
    return found


def _with_registers(own: Arrays) -> Arrays:
    """Meta's DINOv2 with registers: its class token has a position embedding, too."""
    own = dict(own)
    own["reg_token"] = own.pop("register_tokens")
    pos, token = own.get("pos_embed"), own.get("cls_token")
    if pos is not None and token is not None and pos.ndim == 3:
        own["cls_token"] = token + pos[:, :1]
        own["pos_embed"] = pos[:, 1:]
    return own


def _without_packed_bias(own: Arrays) -> Arrays:
    """Meta's DINOv3: the packed bias as that of q and v; that of k is never used.

    A bias of zeros is left out: most of the networks have no other.
    """
    found = {}
    for name, value in own.items():
        if not name.endswith(".attn.qkv.bias"):
            found[name] = value
            continue
        q, _, v = np.split(value, 3)
        block = name.removesuffix("qkv.bias")
        found |= {f"{block}q_bias": q, f"{block}v_bias": v}
    biases = [name for name in found if name.endswith((".q_bias", ".v_bias"))]
    if not any(np.any(found[name]) for name in biases):
        found = {k: v for k, v in found.items() if k not in biases}
    return found
