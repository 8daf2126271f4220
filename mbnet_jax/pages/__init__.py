"""Pages to look at: one HTML file each, which needs nothing beside itself."""

from mbnet_jax.pages.page import picture, render

__all__ = ["picture", "render"]
