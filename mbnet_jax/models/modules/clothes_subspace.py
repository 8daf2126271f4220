"""Projects the directions that vary with clothes out of an embedding; ours."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class ClothesSubspace(nn.Module):
    """Removes the part of features that lies in a learned subspace.

      Q = the orthonormal columns of the parameter's QR decomposition
      e' = e - Q Q^T e

    Ours, after nuisance attribute projection (Solomonoff et al., ICASSP 2005) and
    Ortho-ReID (arXiv 2606.11661). Only `losses.clothes_subspace` trains Q, towards the
    directions along which the features of a person change with clothes. The losses on
    e' pass no gradient to Q; they would turn it away from whatever lowers them. The
    computation is float32, its products in full precision.

    Attributes:
      rank: columns of Q, fewer than the features have.
    """

    rank: int

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Maps e, float32 [B, d], to e' of the same shape and Q, float32 [d, rank].

        Raises:
          ValueError: if the rank is not below d.
        """
        size = x.shape[-1]
        if self.rank >= size:
            raise ValueError(
                f"clothes_rank is {self.rank}; it must be below the size of the "
                f"embedding, {size}"
            )
        directions = self.param(
            "directions", nn.initializers.orthogonal(), (size, self.rank), jnp.float32
        )
        basis = jnp.linalg.qr(directions)[0]
        fixed = jax.lax.stop_gradient(basis)
        inside = jnp.matmul(x, fixed, precision="highest")
        return x - jnp.matmul(inside, fixed.T, precision="highest"), basis
