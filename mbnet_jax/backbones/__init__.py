"""Backbones: from a view of a person to a map of features, one file per family.

To add one, write a file like `resnet.py` and register its networks here, or call
`register` from your own code (docs/extending.md).
"""

from mbnet_jax.backbones import dinov2, dinov3, eva02, resnet, vit
from mbnet_jax.backbones.load import load_backbone
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
    "load_backbone",
    "make_backbone",
    "register",
    "renormalised",
]

for _name, _depth in resnet.DEPTHS.items():
    register(_name, resnet.backbone(*_depth))
for _family in (eva02, dinov2, vit, dinov3):
    for _name, _backbone in _family.backbones().items():
        register(_name, _backbone)
