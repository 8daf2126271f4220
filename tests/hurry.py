"""Compiling without most of XLA's optimisations, in half the time."""

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def in_a_hurry() -> Iterator[None]:
    """Compiles so what is first called inside; its results differ by rounding."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
