"""The block of a vision transformer, and the switches by which transformers differ.

Shapes: tokens [B, n, d], in the order class, registers, cells.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.backbones.attention import attend
from mbnet_jax.backbones.layers import known
from mbnet_jax.backbones.rotary import rotate

normal = nn.initializers.truncated_normal(0.02)  # as timm initialises
ACTIVATIONS = {
    "gelu": partial(jax.nn.gelu, approximate=False),
    "quick_gelu": lambda x: x * jax.nn.sigmoid(1.702 * x),
}


@dataclass(frozen=True)
class Kind:
    """What distinguishes one transformer from another.

    Attributes:
      patch: height and width of a patch, in pixels.
      grid: cells, each way, of the public weights' position embedding.
      width: channels of a token, d.
      blocks, heads: their numbers.
      hidden: channels within a block's MLP.
      gated: whether the MLP is silu(gate) * value (SwiGLU), else `activation`.
      activation: a name in `ACTIVATIONS`.
      biases: which of "q", "k", "v" have a bias.
      attention_norm, mlp_norm: whether there is a norm before the last product of the
        attention, of the MLP ("sub-LN").
      registers: tokens beside the class token.
      position: whether a position embedding is added to the cells' tokens.
      class_position: whether the class token has one too.
      rotary: how queries and keys are rotated by their position, a name in
        `rotary.ANGLES`; "": not.
      layer_scale: whether each sum's right side has a learned factor a channel.
      patch_bias: whether the patch embedding has a bias.
      first_norm, last_norm: whether there is a norm before, after the blocks.
      epsilon: of the norms.
      packed: whether public weights have q, k and v in one array (and gate and value).
    """

    patch: int
    grid: int
    width: int
    blocks: int
    heads: int
    hidden: int
    gated: bool = False
    activation: str = "gelu"
    biases: str = "qkv"
    attention_norm: bool = False
    mlp_norm: bool = False
    registers: int = 0
    position: bool = True
    class_position: bool = True
    rotary: str = ""
    layer_scale: bool = False
    patch_bias: bool = True
    first_norm: bool = False
    last_norm: bool = True
    epsilon: float = 1e-6
    packed: bool = True

    @property
    def prefix(self) -> int:
        """The number of tokens before those of the cells."""
        return 1 + self.registers


def norm(kind: Kind, name: str) -> nn.Module:
    """Layer norm, computed and returned in float32."""
    return nn.LayerNorm(epsilon=kind.epsilon, dtype=jnp.float32, name=name)


class Attention(nn.Module):
    """Multi-head self-attention of tokens [B, n, d], in `dtype` with a float32 softmax.

    Its weights [B, heads, n, n] are sown into the collection "intermediates".
    """

    kind: Kind
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, tables: Any) -> jax.Array:
        """Maps [B, n, d] to the same shape; `tables` of `rotary_tables`, or None."""
        kind, heads = self.kind, (*x.shape[:2], self.kind.heads, -1)
        dense = partial(nn.Dense, kind.width, kernel_init=normal, dtype=self.dtype)
        q, k, v = (
            dense(use_bias=name in kind.biases, name=name)(x).reshape(heads)
            for name in "qkv"
        )
        if tables is not None:
            q, k = rotate(q, tables), rotate(k, tables)
        if self.is_mutable_collection("intermediates"):
            scores = jnp.einsum("bqhd,bkhd->bhqk", q, k).astype(jnp.float32)
            weights = jax.nn.softmax(scores / q.shape[-1] ** 0.5)
            self.sow("intermediates", "weights", weights)
        x = attend(q, k, v).reshape(x.shape)
        if kind.attention_norm:
            x = norm(kind, "norm")(x)
        return dense(name="out")(x)


class Mlp(nn.Module):
    """A block's MLP, d to `hidden` to d, plain or gated (Shazeer, 2020)."""

    kind: Kind
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, n, d] to the same shape."""
        kind = self.kind
        dense = partial(nn.Dense, kernel_init=normal, dtype=self.dtype)
        if kind.gated:
            gate = dense(kind.hidden, name="gate")(x)
            x = nn.silu(gate) * dense(kind.hidden, name="value")(x)
        else:
            x = dense(kind.hidden, name="value")(x)
            x = known("activation", kind.activation, ACTIVATIONS)(x)
        if kind.mlp_norm:
            x = norm(kind, "norm")(x)
        return dense(kind.width, name="out")(x)


class Block(nn.Module):
    """x += attention(norm(x)), then x += mlp(norm(x)), each sum's right side dropped.

    Drop path (Huang et al., ECCV 2016): an image is left out of a sum with probability
    `rate`, and divided by 1 - `rate` where it is not.
    """

    kind: Kind
    dtype: Any

    @nn.compact
    def __call__(
        self, x: jax.Array, number: jax.Array, rate: jax.Array, tables: Any, keys: Any
    ) -> tuple[jax.Array, None]:
        """Maps float32 tokens [B, n, d] to the same.

        Args:
          x: the tokens.
          number: of the block, int32.
          rate: of drop path, float32; read only with keys.
          tables: of `rotary_tables`, or None.
          keys: [B], one for each image, or None: nothing is dropped.
        """

        def add(i: int, x: jax.Array, y: jax.Array) -> jax.Array:
            y = y.astype(jnp.float32)
            if self.kind.layer_scale:
                shape = (self.kind.width,)
                start = nn.initializers.constant(1e-5)
                y *= self.param(f"gamma_{i + 1}", start, shape, jnp.float32)
            if keys is not None:
                y *= _kept(keys, 2 * number + i, rate)[:, None, None]
            return x + y

        attention = Attention(self.kind, self.dtype, name="attention")
        x = add(0, x, attention(norm(self.kind, "norm1")(x), tables))
        mlp = Mlp(self.kind, self.dtype, name="mlp")
        x = add(1, x, mlp(norm(self.kind, "norm2")(x)))
        return x, None


def _kept(keys: jax.Array, number: jax.Array, rate: jax.Array) -> jax.Array:
    """Which images are kept, [B]: 1 / (1 - rate) or 0, by each image's own key."""
    keys = jax.vmap(jax.random.fold_in, (0, None))(keys, number)
    kept = jax.vmap(jax.random.bernoulli, (0, None))(keys, 1 - rate)
    return kept / (1 - rate)
