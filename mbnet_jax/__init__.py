"""MBNet: clothes-changing person re-identification in JAX and Flax."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mbnet_jax.search.embedder import Embedder

__all__ = ["Embedder"]


def __getattr__(name: str) -> Any:
    # Only who asks for it waits for jax.
    if name == "Embedder":
        from mbnet_jax.search.embedder import Embedder

        return Embedder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
