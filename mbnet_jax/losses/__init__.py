"""The losses: plain functions of arrays, and `total`, their weighted sum.

Each returns a float32 scalar, a mean over the whole (global) batch. Inputs of lower
precision are converted to float32 first.
"""

from mbnet_jax.losses.arrays import pool_area
from mbnet_jax.losses.attention import background_constraint
from mbnet_jax.losses.clothes import (
    Clothes,
    clothes_adversarial,
    clothes_classification,
    clothes_subspace,
)
from mbnet_jax.losses.identity import (
    batch_hard_triplet,
    cross_entropy,
    supervised_contrastive,
)
from mbnet_jax.losses.parsing import (
    parsing_cross_entropy,
    part_edges,
    part_extents,
)
from mbnet_jax.losses.total import total
from mbnet_jax.losses.transfer import (
    distillation,
    feature_distillation,
    gate_area,
    similarity_distillation,
)

__all__ = [
    "Clothes",
    "background_constraint",
    "batch_hard_triplet",
    "clothes_adversarial",
    "clothes_classification",
    "clothes_subspace",
    "cross_entropy",
    "distillation",
    "feature_distillation",
    "gate_area",
    "parsing_cross_entropy",
    "part_edges",
    "part_extents",
    "pool_area",
    "similarity_distillation",
    "supervised_contrastive",
    "total",
]
