"""What MBNet returns."""

import jax
from flax import struct

from mbnet_jax.models.modules.part_edges import PartEdges
from mbnet_jax.models.modules.zoom import Zoom


@struct.dataclass
class Outputs:
    """What MBNet returns, float32. Dictionaries have one entry for each branch on.

    jit sorts the keys of dictionaries: take the order of branches from `BRANCHES`.

    Attributes:
      features: branch -> [B, d], before the BNNeck (for the triplet loss).
      embeddings: branch -> [B, d], after it, of length 1 (for retrieval).
      logits: branch -> [B, num_classes].
      combined: [B, d'], of length 1: the embeddings side by side, each times its
        balance weight; or their projection. Gradients pass to the balance or the
        projection alone.
      balance: [B, branches], in the order of `BRANCHES`, with mean 1;
        None without balance, with a projection, or with a single branch.
      projection: `combined`, if it is a projection; else None.
      gate: [B, h, w, 1] in [0, 1], KTM's gate, of the map or view that it works on;
        None without KTM.
      gate_logits: [B, h, w, 1], whose sigmoid the gate is; None without KTM.
      zoom: how KTM has enlarged the global branch's view; None if it has not.
      attention: [B, h, w, 1] in [0, 1], FAM's spatial attention, of the map that it
        works on; None without FAM.
      clothes: [B, num_clothes], cosines of the embedding that CAL trains with the
        classes of clothes. Gradients pass to the classifier alone; None without it.
      adversarial: the same values, whose gradients pass to the embedding alone.
      unprojected: [B, d], the global branch's neck before the directions of clothes
        are projected out of it; None without them.
      clothes_directions: [d, clothes_rank], those directions, orthonormal columns.
      parsing_logits: [B, H, W, labels] of the predicted parsing map (see
        `ParsingHead` and `ImageParser`); None without either.
      part_edges: where the parts of that map end; None without `ImageParser`.
    """

    features: dict[str, jax.Array]
    embeddings: dict[str, jax.Array]
    logits: dict[str, jax.Array]
    combined: jax.Array
    balance: jax.Array | None = None
    projection: jax.Array | None = None
    gate: jax.Array | None = None
    gate_logits: jax.Array | None = None
    zoom: Zoom | None = None
    attention: jax.Array | None = None
    clothes: jax.Array | None = None
    adversarial: jax.Array | None = None
    unprojected: jax.Array | None = None
    clothes_directions: jax.Array | None = None
    parsing_logits: jax.Array | None = None
    part_edges: PartEdges | None = None
