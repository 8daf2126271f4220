"""EVA-02's networks (Fang et al., 2023) up to the map of patches, in plain PyTorch.

Names and arithmetic are timm's (timm/models/eva.py, 1.0.31), so its weights load
unchanged, the classifier's and `fc_norm` aside. Position embeddings are those of the
images' own grid, as after timm's `set_input_size`. Attention is PyTorch's fused one.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F


class Size(NamedTuple):
    """A network: of its tokens, its blocks and its attention.

    clip: EVA-02-CLIP's layout: separate projections, norms within attention and MLP,
      and a norm behind the last block.
    """

    patch: int
    width: int
    depth: int
    heads: int
    clip: bool


SIZES = {
    "eva02_tiny_patch14_224": Size(14, 192, 12, 3, False),
    "eva02_small_patch14_224": Size(14, 384, 12, 6, False),
    "eva02_base_patch16_clip_224": Size(16, 768, 12, 12, True),
    "eva02_large_patch14_clip_224": Size(14, 1024, 24, 16, True),
}
EPSILON = 1e-6
ROTARY_GRID = 16  # to which the positions of every grid are scaled


def rotary(rows: int, columns: int, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sine and cosine of each patch's angles, [rows * columns, channels] each."""
    count = channels // 4
    rates = 10000 ** -(torch.arange(count) / count)
    down, right = (torch.arange(n) / n * ROTARY_GRID for n in (rows, columns))
    angles = torch.cat(
        [
            (down[:, None] * rates)[:, None].expand(-1, columns, -1),
            (right[:, None] * rates)[None].expand(rows, -1, -1),
        ],
        -1,
    )
    angles = angles.reshape(rows * columns, -1).repeat_interleave(2, -1)
    return angles.sin(), angles.cos()


def rotated(x: torch.Tensor, sine: torch.Tensor, cosine: torch.Tensor) -> torch.Tensor:
    """Rotates neighbouring channels of all tokens but the first, [B, heads, T, 64]."""
    patches = x[:, :, 1:]
    turned = torch.stack([-patches[..., 1::2], patches[..., ::2]], -1)
    patches = patches * cosine + turned.reshape(patches.shape) * sine
    return torch.cat([x[:, :, :1], patches.type_as(x)], 2)


class Attention(nn.Module):
    """Attention whose keys have no bias."""

    def __init__(self, size: Size):
        """Creates the projections, fused but in EVA-02-CLIP's layout."""
        super().__init__()
        width, self.heads, self.fused = size.width, size.heads, not size.clip
        if self.fused:
            self.qkv = nn.Linear(width, 3 * width, bias=False)
            self.q_bias = nn.Parameter(torch.zeros(width))
            self.v_bias = nn.Parameter(torch.zeros(width))
        else:
            self.q_proj = nn.Linear(width, width)
            self.k_proj = nn.Linear(width, width, bias=False)
            self.v_proj = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, EPSILON) if size.clip else nn.Identity()
        self.proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, sine: torch.Tensor, cosine: torch.Tensor):
        """Maps tokens [B, T, D] to [B, T, D]."""
        if self.fused:
            none = torch.zeros_like(self.q_bias)
            bias = torch.cat([self.q_bias, none, self.v_bias])
            parts = F.linear(x, self.qkv.weight, bias).chunk(3, -1)
        else:
            parts = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        q, k, v = (p.unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in parts)
        q, k = (rotated(part, sine, cosine) for part in (q, k))
        joined = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.proj(self.norm(joined))


class Mlp(nn.Module):
    """SwiGLU: one half gates the other."""

    def __init__(self, size: Size):
        """Creates the layers, both halves in one but in EVA-02-CLIP's layout."""
        super().__init__()
        width, self.packed = size.width, not size.clip
        hidden = width * 8 // 3
        if self.packed:
            self.fc1 = nn.Linear(width, 2 * hidden)
        else:
            self.fc1_g = nn.Linear(width, hidden)
            self.fc1_x = nn.Linear(width, hidden)
        self.norm = nn.LayerNorm(hidden, EPSILON) if size.clip else nn.Identity()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps tokens [B, T, D] to [B, T, D]."""
        if self.packed:
            gate, value = self.fc1(x).chunk(2, -1)
        else:
            gate, value = self.fc1_g(x), self.fc1_x(x)
        return self.fc2(self.norm(F.silu(gate) * value))


class Block(nn.Module):
    """Attention and MLP, each after a norm and added to what came in."""

    def __init__(self, size: Size):
        """Creates the layers."""
        super().__init__()
        self.norm1 = nn.LayerNorm(size.width, EPSILON)
        self.attn = Attention(size)
        self.norm2 = nn.LayerNorm(size.width, EPSILON)
        self.mlp = Mlp(size)

    def forward(self, x: torch.Tensor, sine: torch.Tensor, cosine: torch.Tensor):
        """Maps tokens [B, T, D] to [B, T, D]."""
        x = x + self.attn(self.norm1(x), sine, cosine)
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    """A linear map of each patch."""

    def __init__(self, size: Size):
        """Creates the convolution."""
        super().__init__()
        self.proj = nn.Conv2d(3, size.width, size.patch, size.patch)


class Eva(nn.Module):
    """A network without its classifier."""

    def __init__(self, size: Size, height: int, width: int):
        """Creates the layers, with random weights, for images that patches fill."""
        super().__init__()
        self.grid = (height // size.patch, width // size.patch)
        self.width = size.width
        self.patch_embed = PatchEmbed(size)
        self.cls_token = nn.Parameter(torch.randn(1, 1, size.width) / 50)
        entries = 1 + self.grid[0] * self.grid[1]
        self.pos_embed = nn.Parameter(torch.randn(1, entries, size.width) / 50)
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.depth))
        norm = nn.LayerNorm(size.width, EPSILON) if size.clip else nn.Identity()
        self.norm = norm
        sine, cosine = rotary(*self.grid, size.width // size.heads)
        self.register_buffer("sine", sine, persistent=False)
        self.register_buffer("cosine", cosine, persistent=False)

    def tokens(self, x: torch.Tensor) -> torch.Tensor:
        """Maps normalised images [B, 3, H, W] to tokens [B, 1 + h * w, D].

        They are those of timm's `forward_features`, the class token first.
        """
        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)
        x = x + self.pos_embed
        for block in self.blocks:
            x = block(x, self.sine, self.cosine)
        return self.norm(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps normalised images [B, 3, H, W] to the patches' map [B, D, h, w]."""
        return self.tokens(x)[:, 1:].transpose(1, 2).unflatten(2, self.grid)
