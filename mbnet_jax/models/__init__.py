"""MBNet and its parts, as Flax Linen modules."""

from mbnet_jax.models.mbnet import BRANCHES, MBNet, Outputs

__all__ = ["BRANCHES", "MBNet", "Outputs"]
