"""Scaled dot-product attention, by cuDNN where a GPU has it."""

import functools

import jax
import jax.numpy as jnp


def attend(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    """softmax(q k / sqrt(channels)) v of [B, n, heads, channels]; float32 softmax.

    On a GPU cuDNN computes it in half precision without writing the scores; elsewhere
    XLA does, as in float32. The choice is made where the program is compiled, so one
    traced on a machine without a GPU has XLA's everywhere. For its gradient the scores
    [B, heads, n, n] are computed again: they are most of what a block would keep, and
    a hundredth of its products.
    """
    plain = functools.partial(jax.nn.dot_product_attention, implementation="xla")
    if not _has_cudnn(q.shape[1:], q.dtype):
        return jax.checkpoint(plain)(q, k, v)
    fused = functools.partial(jax.nn.dot_product_attention, implementation="cudnn")

    def either(q, k, v):
        # Of the platform that the program is for: a machine with a GPU has CPUs too.
        return jax.lax.platform_dependent(q, k, v, cuda=fused, default=plain)

    return jax.checkpoint(either)(q, k, v)


@functools.cache
def _has_cudnn(shape: tuple[int, ...], dtype) -> bool:
    """Whether a GPU of this machine can compute attention of [n, heads, channels].

    It depends on the dtype, the channels, the GPU and the version of cuDNN; tracing
    tells, and needs the GPU.
    """
    if dtype not in (jnp.bfloat16, jnp.float16):
        return False
    x = jax.ShapeDtypeStruct((1, *shape), dtype)
    fused = functools.partial(jax.nn.dot_product_attention, implementation="cudnn")
    try:
        jax.devices("cuda")
        jax.eval_shape(fused, x, x, x)
    except Exception:  # RuntimeError, ValueError, NotImplementedError: all mean no
        return False
    return True
