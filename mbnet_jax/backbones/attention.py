"""Scaled dot-product attention, by cuDNN where a GPU has it."""

import contextlib
import contextvars
import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp

_portable = contextvars.ContextVar("portable", default=False)
_plain = functools.partial(jax.nn.dot_product_attention, implementation="xla")


def attend(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    """softmax(q k / sqrt(channels)) v of [B, n, heads, channels]; float32 softmax.

    On a GPU cuDNN computes it in half precision without writing the scores; elsewhere
    XLA does, as in float32. The choice is made where the program is compiled, so one
    traced on a machine without a GPU has XLA's everywhere. For its gradient the scores
    [B, heads, n, n] are computed again: they are most of what a block would keep, and
    a hundredth of its products.
    """
    if not _portable.get() and _has_cudnn(q.shape[1:], q.dtype):
        return _either(q, k, v)
    # The two passes of a scanned block are separate loops: nothing to keep apart.
    return jax.checkpoint(_plain, prevent_cse=False)(q, k, v)


@contextlib.contextmanager
def portable() -> Iterator[None]:
    """Traces what is called within without cuDNN, for programs of several platforms.

    jax compiles both sides of a choice by platform where a program has both platforms,
    and a CPU has no cuDNN.
    """
    before = _portable.set(True)
    try:
        yield
    finally:
        _portable.reset(before)


@jax.custom_vjp
def _either(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    # By the platform that the program is for: a machine with a GPU has CPUs too. jax
    # cannot differentiate the choice itself: it would compile both for either.
    return jax.lax.platform_dependent(q, k, v, cuda=fused, default=_plain)


def _forward(q, k, v):
    return _either(q, k, v), (q, k, v)


def _backward(inputs, gradient):
    cuda, default = (_gradients(attention) for attention in (fused, _plain))
    return jax.lax.platform_dependent(*inputs, gradient, cuda=cuda, default=default)


def _gradients(attention):
    return lambda q, k, v, gradient: jax.vjp(attention, q, k, v)[1](gradient)


_either.defvjp(_forward, _backward)


def fused(
    q: jax.Array, k: jax.Array, v: jax.Array, implementation: str = "cudnn"
) -> jax.Array:
    """`attend` by one kernel that takes even lengths and the lengths that count.

    jax refuses cuDNN an odd length while training, as if there were a bias; so a token
    is added that nothing attends to.
    """
    attention = functools.partial(
        jax.nn.dot_product_attention, implementation=implementation
    )
    n = q.shape[1]
    if n % 2 == 0:
        return attention(q, k, v)
    q, k, v = (jnp.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0))) for x in (q, k, v))
    # All n, but by a sum with zeros of q, so that they lie on devices as q does.
    lengths = n + (jnp.abs(q[:, 0, 0, 0]) > jnp.inf).astype(jnp.int32)
    out = attention(q, k, v, query_seq_lengths=lengths, key_value_seq_lengths=lengths)
    return out[:, :n]


@functools.cache
def _has_cudnn(shape: tuple[int, ...], dtype) -> bool:
    """Whether a GPU of this machine can compute attention of [n, heads, channels].

    It depends on the dtype, the channels, the GPU (of Ampere or later) and the version
    of cuDNN, which tracing needs. jax has an error for each but the GPU's kind, which
    only a compilation would tell.
    """
    if dtype not in (jnp.bfloat16, jnp.float16):
        return False
    x = jax.ShapeDtypeStruct((1, *shape), dtype)
    try:
        devices = jax.local_devices(backend="cuda")
        jax.eval_shape(lambda *x: jax.vjp(fused, *x)[1](x[0]), x, x, x)
    except (RuntimeError, ValueError):  # a NotImplementedError is a RuntimeError
        return False
    return all(int(d.compute_capability.split(".")[0]) >= 8 for d in devices)
