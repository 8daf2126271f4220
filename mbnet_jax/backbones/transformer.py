"""Vision transformers (Dosovitskiy et al., ICLR 2021), with the switches of families.

One network for ViT, DINOv2 and EVA-02: a family's file says what its networks switch on
(`Kind`), and how its public weights are named. Blocks are alike, so one is compiled and
scanned over parameters [blocks, ...].

Shapes: images [B, H, W, c], a grid of h x w = H / patch x W / patch cells, tokens
[B, n, d] in the order class, registers, cells row by row.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mbnet_jax.backbones.attention import attend
from mbnet_jax.backbones.layers import known
from mbnet_jax.backbones.registry import Features
from mbnet_jax.backbones.rotary import rotary_tables, rotate

_normal = nn.initializers.truncated_normal(0.02)  # as timm initialises
# What `remat` keeps of a block for the backward pass: name -> jax's policy.
KEPT = {
    "nothing": None,
    "products": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}
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
      class_position: whether the class token has a position embedding too.
      rotary: whether queries and keys are rotated by their position.
      layer_scale: whether each sum's right side has a learned factor a channel.
      patch_bias: whether the patch embedding has a bias.
      first_norm, last_norm: whether there is a norm before, after the blocks.
      epsilon: of the norms.
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
    class_position: bool = True
    rotary: bool = False
    layer_scale: bool = False
    patch_bias: bool = True
    first_norm: bool = False
    last_norm: bool = True
    epsilon: float = 1e-6

    @property
    def prefix(self) -> int:
        """The number of tokens before those of the cells."""
        return 1 + self.registers


def _norm(kind: Kind, name: str) -> nn.Module:
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
        dense = partial(nn.Dense, kind.width, kernel_init=_normal, dtype=self.dtype)
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
            x = _norm(kind, "norm")(x)
        return dense(name="out")(x)


class Mlp(nn.Module):
    """A block's MLP, d to `hidden` to d, plain or gated (Shazeer, 2020)."""

    kind: Kind
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, n, d] to the same shape."""
        kind = self.kind
        dense = partial(nn.Dense, kernel_init=_normal, dtype=self.dtype)
        if kind.gated:
            gate = dense(kind.hidden, name="gate")(x)
            x = nn.silu(gate) * dense(kind.hidden, name="value")(x)
        else:
            x = dense(kind.hidden, name="value")(x)
            x = known("activation", kind.activation, ACTIVATIONS)(x)
        if kind.mlp_norm:
            x = _norm(kind, "norm")(x)
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
            y = y.astype(x.dtype)
            if self.kind.layer_scale:
                shape = (self.kind.width,)
                start = nn.initializers.constant(1e-5)
                y *= self.param(f"gamma_{i + 1}", start, shape, jnp.float32)
            if keys is not None:
                y *= _kept(keys, 2 * number + i, rate)[:, None, None]
            return x + y

        attention = Attention(self.kind, self.dtype, name="attention")
        x = add(0, x, attention(_norm(self.kind, "norm1")(x), tables))
        mlp = Mlp(self.kind, self.dtype, name="mlp")
        x = add(1, x, mlp(_norm(self.kind, "norm2")(x)))
        return x, None


def _kept(keys: jax.Array, number: jax.Array, rate: jax.Array) -> jax.Array:
    """Which images are kept, [B]: 1 / (1 - rate) or 0, by each image's own key."""
    keys = jax.vmap(jax.random.fold_in, (0, None))(keys, number)
    kept = jax.vmap(jax.random.bernoulli, (0, None))(keys, 1 - rate)
    return kept / (1 - rate)


class Transformer(nn.Module):
    """A vision transformer without pooling and classifier.

    Attributes:
      kind: its switches.
      drop_path: rate of drop path in the last block; linear from 0 in the first.
      remat: whether the backward pass computes the inside of every block again.
      remat_keeps: what it then keeps all the same, of `KEPT`.
      dtype: of the products. Parameters, norms, softmax and sums are float32.
    """

    kind: Kind
    drop_path: float = 0.0
    remat: bool = False
    remat_keeps: str = "nothing"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, keys: jax.Array | None = None
    ) -> Features:
        """Maps images [B, H, W, c] to a map [B, h, w, d] and a class token [B, d].

        Args:
          x: the images, normalised.
          train: without effect but for drop path.
          keys: [B], a key for each image, for drop path while training.

        Raises:
          ValueError: if H or W is no multiple of the patch, or drop path lacks keys.
        """
        kind = self.kind
        h, w = grid_of(kind, x.shape[1:3])
        if not (train and self.drop_path):
            keys = None
        elif keys is None:
            raise ValueError(f"drop_path={self.drop_path} needs keys while training")
        x = self._cells(x, h, w)
        first = [self._token("cls_token", 1)]
        if kind.class_position:
            first[0] = first[0] + self._token("class_pos_embed", 1)
        if kind.registers:
            first.append(self._token("reg_token", kind.registers))
        first = [jnp.broadcast_to(t, (len(x), *t.shape[1:])) for t in first]
        x = jnp.concatenate([*first, x], axis=1)
        if kind.first_norm:
            x = _norm(kind, "first_norm")(x)

        tables = None
        if kind.rotary:
            tables = rotary_tables(h, w, kind.width // kind.heads, kind.prefix)
        block = Block
        if self.remat:
            policy = known("remat_keeps", self.remat_keeps, KEPT)
            block = nn.remat(Block, prevent_cse=False, policy=policy)
        blocks = nn.scan(
            block,
            variable_axes={"params": 0, "intermediates": 0},
            split_rngs={"params": True},
            in_axes=(0, 0, nn.broadcast, nn.broadcast),
            length=kind.blocks,
        )(kind, self.dtype, name="blocks")
        rates = np.linspace(0, self.drop_path, kind.blocks, dtype=np.float32)
        numbers = np.arange(kind.blocks, dtype=np.int32)
        x, _ = blocks(x, numbers, rates, tables, keys)
        if kind.last_norm:
            x = _norm(kind, "norm")(x)
        cells = x[:, kind.prefix :].reshape(len(x), h, w, kind.width)
        return Features(cells.astype(self.dtype), x[:, 0])

    def _cells(self, x: jax.Array, h: int, w: int) -> jax.Array:
        """The tokens of the cells with their position embedding, [B, h w, d]."""
        kind, p = self.kind, self.kind.patch
        rows = x.reshape(len(x), h, p, w, p, -1).transpose(0, 1, 3, 2, 4, 5)
        # A product of patches is the convolution of that stride.
        embed = nn.DenseGeneral(
            kind.width,
            axis=(-3, -2, -1),
            use_bias=kind.patch_bias,
            kernel_init=_normal,
            dtype=self.dtype,
            name="patch_embed",
        )
        x = embed(rows).astype(jnp.float32)
        x += self.param("pos_embed", _normal, (1, h, w, kind.width), jnp.float32)
        return x.reshape(len(x), h * w, kind.width)

    def _token(self, name: str, count: int) -> jax.Array:
        return self.param(name, _normal, (1, count, self.kind.width), jnp.float32)


def grid_of(kind: Kind, size: tuple[int, int]) -> tuple[int, int]:
    """Cells of an image of `size`, (height, width) in pixels.

    Raises:
      ValueError: if the patch does not divide one, with the next sizes that it does.
    """
    if any(side % kind.patch or side < kind.patch for side in size):
        near = [max(round(side / kind.patch), 1) * kind.patch for side in size]
        raise ValueError(
            f"an image of {size[0]}x{size[1]} pixels has no whole patches of "
            f"{kind.patch}x{kind.patch}; the nearest size that has is "
            f"{near[0]}x{near[1]}"
        )
    return size[0] // kind.patch, size[1] // kind.patch
