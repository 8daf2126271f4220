"""Attention rollout: which cells of its view a transformer's output depends on."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

UNIT = "times the uniform weight"


def rollout(weights: jax.Array, grid: tuple[int, int], *, of_token: bool) -> jax.Array:
    """Follows attention from the output back to the cells (Abnar and Zuidema, 2020).

    A block passes on its input and what it attends to, here in equal parts:

      A = (mean of the weights over heads + identity) / 2

    and the share of each input token in each output token is A of the last block times
    A of the one before, and so on to the first. The shares of the cells, without the
    class token and registers, are scaled to a mean of 1. MLPs and the values that are
    attended to are not looked at.

    Args:
      weights: [blocks, B, heads, n, n], softmax over the last axis; the cells are the
        last tokens.
      grid: rows and columns of the cells.
      of_token: whether the output is the class token, the first; else the mean of the
        cells.

    Returns:
      float32 [B, *grid].
    """
    blocks, batch, _, n, _ = weights.shape
    cells = grid[0] * grid[1]
    first = jnp.arange(n) < 1 if of_token else jnp.arange(n) >= n - cells
    shares = jnp.broadcast_to(first / first.sum(), (batch, n))
    for block in reversed(range(blocks)):
        mean = weights[block].astype(jnp.float32).mean(1)
        shares = (shares + jnp.einsum("bq,bqk->bk", shares, mean)) / 2
    shares = shares[:, n - cells :]
    return (shares / shares.mean(1, keepdims=True)).reshape(batch, *grid)


def attention_weights(intermediates: Mapping, call: int) -> jax.Array | None:
    """A transformer's weights [blocks, B, heads, n, n] in its `call`-th call.

    Args:
      intermediates: those of the backbone.
      call: branches that share a backbone call it one after the other.

    Returns:
      None if the backbone is no transformer.
    """
    attention = intermediates.get("blocks", {}).get("attention", {})
    return attention["weights"][call] if "weights" in attention else None
