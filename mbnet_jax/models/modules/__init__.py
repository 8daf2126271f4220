"""The modules of MBNet: KTM, FAM, CFM and the balance, each in our reading.

The clothing subspace, what predicts parsing maps, the projection and KTM's zoom are
ours.

docs/method.md separates what the paper states from our reading, docs/evidence.md what
each module is for from what it was seen to do.
"""

from mbnet_jax.models.modules.balance import Balance, combine
from mbnet_jax.models.modules.cfm import (
    DIRECTIONS,
    CrossAttention,
    CrossFusion,
    position_codes,
)
from mbnet_jax.models.modules.clothes_subspace import ClothesSubspace
from mbnet_jax.models.modules.fam import FeatureAttention
from mbnet_jax.models.modules.image_parser import ImageParser
from mbnet_jax.models.modules.ktm import KnowledgeTransfer
from mbnet_jax.models.modules.parsing_head import ParsingHead, predicted_parsing
from mbnet_jax.models.modules.part_edges import PartEdges
from mbnet_jax.models.modules.projection import Projection
from mbnet_jax.models.modules.zoom import Locator, Zoom, gate_size, masked, zoom_on

__all__ = [
    "DIRECTIONS",
    "Balance",
    "ClothesSubspace",
    "CrossAttention",
    "CrossFusion",
    "FeatureAttention",
    "ImageParser",
    "KnowledgeTransfer",
    "Locator",
    "ParsingHead",
    "PartEdges",
    "Projection",
    "Zoom",
    "combine",
    "gate_size",
    "masked",
    "position_codes",
    "predicted_parsing",
    "zoom_on",
]
