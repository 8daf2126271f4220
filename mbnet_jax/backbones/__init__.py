"""Backbones: from a view of a person to a map of features, one file per family.

To add one, write a file like `resnet.py` and register its networks here, or call
`register` from your own code (docs/extending.md).
"""

from mbnet_jax.backbones import eva02, resnet
from mbnet_jax.backbones.registry import (
    BACKBONES,
    Backbone,
    Features,
    drops_path,
    make_backbone,
    register,
    renormalised,
)

__all__ = [
    "BACKBONES",
    "Backbone",
    "Features",
    "drops_path",
    "make_backbone",
    "register",
    "renormalised",
]

for _name, _depth in resnet.DEPTHS.items():
    register(_name, resnet.backbone(*_depth))
for _name, _kind in eva02.KINDS.items():
    register(_name, eva02.backbone(_kind))
