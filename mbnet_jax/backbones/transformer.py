"""Vision transformers (Dosovitskiy et al., ICLR 2021), with the switches of families.

One network for ViT, CLIP, DINOv2, DINOv3 and EVA-02: a family's file says what its
networks switch on (`Kind`). Blocks are alike, so one is compiled and scanned over
parameters [blocks, ...].

Shapes: images [B, H, W, c], a grid of h x w = H / patch x W / patch cells, tokens
[B, n, d] in the order class, registers, cells row by row.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mbnet_jax.backbones.layers import known
from mbnet_jax.backbones.registry import Features, nearest
from mbnet_jax.backbones.rotary import rotary_tables
from mbnet_jax.backbones.transformer_block import Block, Kind, norm, normal
from mbnet_jax.devices.placement import all_but_gathered, gathered_block, is_gathering

# What `remat` keeps of a block for the backward pass: name -> jax's policy.
KEPT = {
    "nothing": None,
    "products": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}


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
        token = self._token("cls_token", 1)
        if kind.class_position:
            # Not in place: parameters may be NumPy arrays.
            token = token + self._token("class_pos_embed", 1)
        first = [token]
        if kind.registers:
            first.append(self._token("reg_token", kind.registers))
        first = [jnp.broadcast_to(t, (x.shape[0], *t.shape[1:])) for t in first]
        x = jnp.concatenate([*first, x], axis=1)
        if kind.first_norm:
            x = norm(kind, "first_norm")(x)

        tables = None
        if kind.rotary:
            channels = kind.width // kind.heads
            tables = rotary_tables(kind.rotary, h, w, channels, kind.prefix)
        block, policy = Block, all_but_gathered
        if is_gathering():
            gathered = partial(gathered_block, dtype=self.dtype)
            block = nn.map_variables(Block, "params", gathered)
        if self.remat:
            policy = known("remat_keeps", self.remat_keeps, KEPT)
        if self.remat or is_gathering():
            block = nn.remat(block, prevent_cse=False, policy=policy)
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
            x = norm(kind, "norm")(x)
        cells = x[:, kind.prefix :].reshape(x.shape[0], h, w, kind.width)
        return Features(cells.astype(self.dtype), x[:, 0])

    def _cells(self, x: jax.Array, h: int, w: int) -> jax.Array:
        """The tokens of the cells with their position embedding, [B, h w, d]."""
        kind, p = self.kind, self.kind.patch
        rows = x.reshape(x.shape[0], h, p, w, p, -1).transpose(0, 1, 3, 2, 4, 5)
        # A product of patches is the convolution of that stride.
        embed = nn.DenseGeneral(
            kind.width,
            axis=(-3, -2, -1),
            use_bias=kind.patch_bias,
            kernel_init=normal,
            dtype=self.dtype,
            name="patch_embed",
        )
        x = embed(rows).astype(jnp.float32)
        if kind.position:
            x += self.param("pos_embed", normal, (1, h, w, kind.width), jnp.float32)
        return x.reshape(x.shape[0], h * w, kind.width)

    def _token(self, name: str, count: int) -> jax.Array:
        return self.param(name, normal, (1, count, self.kind.width), jnp.float32)


def grid_of(kind: Kind, size: tuple[int, int]) -> tuple[int, int]:
    """Cells of an image of `size`, (height, width) in pixels.

    Raises:
      ValueError: if the patch does not divide one, with the next sizes that it does.
    """
    if any(side % kind.patch or side < kind.patch for side in size):
        near = [nearest(side, kind.patch) for side in size]
        raise ValueError(
            f"an image of {size[0]}x{size[1]} pixels has no whole patches of "
            f"{kind.patch}x{kind.patch}; the nearest size that has is "
            f"{near[0]}x{near[1]}"
        )
    return size[0] // kind.patch, size[1] // kind.patch


def layers_above(params: Mapping[str, Any]) -> dict[str, Any]:
    """The number of blocks above each parameter; see `Backbone.depths`.

    All blocks are above the embeddings and the first norm, none above the last norm.
    timm's exponents are these.
    """
    count = jax.tree.leaves(params["blocks"])[0].shape[0]

    def of_block(x: jax.Array) -> np.ndarray:
        above = np.arange(count - 1, -1, -1, dtype=np.int32)
        return above.reshape(count, *[1] * (x.ndim - 1))

    return {
        name: jax.tree.map(of_block, tree)
        if name == "blocks"
        else jax.tree.map(lambda _, name=name: 0 if name == "norm" else count, tree)
        for name, tree in params.items()
    }
