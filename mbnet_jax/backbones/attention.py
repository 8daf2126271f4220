"""Scaled dot-product attention, by cuDNN where a GPU has it."""

import functools

import jax
import jax.numpy as jnp


def attend(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    """softmax(q k / sqrt(channels)) v of [B, n, heads, channels]; float32 softmax.

    On a GPU cuDNN computes it in half precision without writing the scores. Elsewhere
    XLA does.
    """
    plain = functools.partial(jax.nn.dot_product_attention, implementation="xla")
    if q.dtype not in (jnp.bfloat16, jnp.float16) or not _has_cudnn():
        return plain(q, k, v)
    fused = functools.partial(jax.nn.dot_product_attention, implementation="cudnn")
    # Of the platform that the program is for: a machine with a GPU has CPUs too.
    return jax.lax.platform_dependent(q, k, v, cuda=fused, default=plain)


@functools.cache
def _has_cudnn() -> bool:
    """Whether jax can use an NVIDIA GPU; tracing cuDNN's attention needs one."""
    try:
        return bool(jax.devices("cuda"))
    except RuntimeError:
        return False
