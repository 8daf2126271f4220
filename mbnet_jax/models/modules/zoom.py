"""KTM as a zoom, ours: the global branch sees what clothes do not change larger."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from mbnet_jax.backbones.layers import conv_norm_relu, with_positions

_ROWS = 64  # at least, of the locator's first map, if the image's size allows it
_SUM = 1e-6  # added to the sum of a gate, which may be 0


class Locator(nn.Module):
    """Finds the clothing-unrelated parts in an image, for `Zoom`.

    KTM's gate, of the image in place of the global branch's map: two convolutions that
    shrink, three at a coarser scale that see more around, and one that joins both. It
    reads each pixel's position too. KTM's area loss trains it
    (`losses.gate_area`), so a test image needs no parsing map.

    Attributes:
      norm_images: see `layers.batch_norm`.
      dtype: of the computation; the last convolution is in float32.
    """

    norm_images: int = 0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool) -> jax.Array:
        """Maps an image [B, H, W, c] to the gate's logits, float32 [B, h, w, 1].

        h and w are those of `gate_size`: 32 and 16 of an image of 128x64 or 256x128.
        """

        convolved = functools.partial(
            conv_norm_relu, train=train, dtype=self.dtype, images=self.norm_images
        )
        stride = _first_stride(*image.shape[1:3])
        x = with_positions(image)
        x = convolved(x, 16, stride + 1, stride, name="shrink1")
        x = convolved(x, 32, 3, 2, name="shrink2")
        around = convolved(x, 48, 3, 2, name="around1")
        for number in (2, 3):
            around = convolved(around, 48, 3, name=f"around{number}")
        around = convolved(around, 32, 1, name="around4")
        x = x + jax.image.resize(around, x.shape, "bilinear")
        x = convolved(x, 32, 3, name="join")
        return nn.Conv(1, (1, 1), dtype=jnp.float32, name="gate")(x)


@struct.dataclass
class Zoom:
    """An enlargement of parts of an image, along rows and columns.

    Attributes:
      rows: float32 [B, h], the share of the enlarged image's height that each of h
        equal bands of the image takes; the sum is 1.
      columns: [B, w], the same of the width.
    """

    rows: jax.Array
    columns: jax.Array

    def enlarge(self, image: jax.Array) -> jax.Array:
        """The enlarged image, of the same shape [B, H, W, c] and dtype."""
        return self._resampled(image, _sources)

    def restore(self, x: jax.Array) -> jax.Array:
        """A map [B, h', w', c] of the enlarged image, as one of the image itself."""
        return self._resampled(x, _targets)

    def spread(self, values: jax.Array) -> jax.Array:
        """Values of cells of the enlarged image, [B, h', w'], as [B, h, w].

        The value of a cell goes to the area of the image that it shows, per area. So
        the mean stays the same, while a part that is enlarged gets more.
        """
        sides = zip((self.rows, self.columns), values.shape[1:], strict=True)
        rows, columns = (_overlaps(shares, n).mT for shares, n in sides)
        return _sandwich(rows, values[..., None], columns)[..., 0]

    def _resampled(self, x: jax.Array, edges) -> jax.Array:
        sides = zip((self.rows, self.columns), x.shape[1:3], strict=True)
        rows, columns = (_weights(edges(shares, n)) for shares, n in sides)
        return _sandwich(rows, x.astype(jnp.float32), columns).astype(x.dtype)


def zoom_on(gate: jax.Array, strength: float) -> Zoom:
    """Enlarges where a gate is open, after saliency-based sampling.

    A row's height is 1 - strength + strength * (its mean of the gate, divided by the
    mean over all rows), and so is a column's width (Recasens et al., ECCV 2018, sample
    by a map of both; here each axis has its own). The rows of the upper and the lower
    half keep half of the height each, as bare legs would take that of the head.

    Args:
      gate: [B, h, w, 1] in [0, 1]. No gradient passes.
      strength: from 0, which changes nothing, to below 1.
    """
    gate = jax.lax.stop_gradient(gate[..., 0].astype(jnp.float32))
    middle = (gate.shape[1] + 1) // 2
    halves = [half for half in jnp.split(gate, [middle], axis=1) if half.shape[1]]
    rows = [_shares(half.mean(2), strength) * half.shape[1] for half in halves]
    rows = jnp.concatenate(rows, axis=1) / gate.shape[1]
    return Zoom(rows, _shares(gate.mean(1), strength))


def masked(image: jax.Array, gate: jax.Array) -> jax.Array:
    """The image where a gate is open, and the mean colour where it is closed.

    Each pixel is multiplied by twice the gate, at most by 1.

    Args:
      image: [B, H, W, c], normalised so that 0 is the mean colour.
      gate: [B, h, w, 1] in [0, 1]. No gradient passes.
    """
    factor = jnp.minimum(2 * jax.lax.stop_gradient(gate), 1)
    shape = (*image.shape[:3], 1)
    return image * jax.image.resize(factor, shape, "bilinear").astype(image.dtype)


def gate_size(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the gate of an image of this size."""
    stride = 2 * _first_stride(height, width)
    return -(-height // stride), -(-width // stride)


def _first_stride(height: int, width: int) -> int:
    """The locator's first stride: 2, or more of a larger image."""
    stride = 2
    while height >= 2 * stride * _ROWS and not (
        height % (4 * stride) or width % (4 * stride)
    ):
        stride *= 2
    return stride


def _shares(open_BxN: jax.Array, strength: float) -> jax.Array:
    """Each band's share of the enlarged whole, [B, n], sums 1."""
    n = open_BxN.shape[1]
    own = (open_BxN + _SUM / n) / (open_BxN.sum(1, keepdims=True) + _SUM)
    return (1 - strength) / n + strength * own


def _sources(shares: jax.Array, n: int) -> jax.Array:
    """Where the edges of n cells of the enlarged whole lie in the whole, in cells.

    Args:
      shares: [B, k].

    Returns:
      [B, n + 1], rising from 0 to n. Linear within each band.
    """
    k = shares.shape[1]
    edges = jnp.arange(n + 1) / n
    starts = jnp.cumsum(shares, axis=1) - shares
    # A sum of ramps, as a search for each edge's band would not export to ONNX.
    passed = (edges[:, None] - starts[:, None]) / shares[:, None]
    return passed.clip(0, 1).sum(-1) * (n / k)


def _targets(shares: jax.Array, n: int) -> jax.Array:
    """The inverse of `_sources`: the edges of n cells of the whole in the enlarged."""
    k = shares.shape[1]
    bands = jnp.arange(n + 1)[:, None] * (k / n) - jnp.arange(k)
    return (bands.clip(0, 1) * shares[:, None]).sum(-1) * n


def _weights(edges: jax.Array) -> jax.Array:
    """Linear interpolation at n cells, as weights [B, n, n] of the n cells read.

    Args:
      edges: [B, n + 1], of the cells that are wanted. A cell wider than those read
        takes the mean of as many, so that shrinking does not alias.
    """
    middles, widths = (edges[:, 1:] + edges[:, :-1]) / 2, jnp.diff(edges, axis=1)
    read = jnp.arange(edges.shape[1] - 1) + 0.5
    away = jnp.abs(middles[:, :, None] - read) / jnp.maximum(widths, 1)[:, :, None]
    weights = nn.relu(1 - away)
    return weights / weights.sum(-1, keepdims=True)


def _overlaps(shares: jax.Array, n: int) -> jax.Array:
    """How each of n cells of the enlarged whole is shared by the k bands, [B, n, k].

    The sum over bands is k / n.
    """
    k = shares.shape[1]
    edges = _sources(shares, n) * (k / n)
    covered = jnp.diff((edges[:, :, None] - jnp.arange(k)).clip(0, 1), axis=1)
    return covered / covered.sum(-1, keepdims=True) * (k / n)


def _sandwich(rows: jax.Array, x: jax.Array, columns: jax.Array) -> jax.Array:
    """rows [B, i, h], x [B, h, w, c], columns [B, j, w] -> [B, i, j, c]."""
    x = jnp.einsum("bih,bhwc->biwc", rows, x, precision="highest")
    return jnp.einsum("bjw,biwc->bijc", columns, x, precision="highest")
