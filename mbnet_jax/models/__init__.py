"""The method: MBNet's branches, modules and network, as Flax Linen modules."""

from mbnet_jax.models.branches import BRANCHES, Branch
from mbnet_jax.models.mbnet import MBNet
from mbnet_jax.models.outputs import Outputs

__all__ = ["BRANCHES", "Branch", "MBNet", "Outputs"]
