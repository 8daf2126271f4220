"""A name for all that decides an embedding beside the photograph itself."""

import hashlib
import json

import jax
import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.backbones.pretrained import FIELDS
from mbnet_jax.data.needed_maps import CUT_BY_MAP

# To be raised when the same photograph and weights give other embeddings than before.
_VERSION = 1


def weights_digest(variables: dict) -> str:
    """Of the names, shapes and bits of a network's weights and batch statistics."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree.leaves_with_path(variables):
        digest.update(f"{jax.tree_util.keystr(path)} {leaf.shape}".encode())
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()


def embedding_digest(
    config: ConfigDict, weights: str, branches: tuple[str, ...]
) -> str:
    """32 letters, others for other weights, branches, network, views, size or flip.

    Where one of the `branches` needs parsing maps, the maps' label set counts too.

    Args:
      config: the network's.
      weights: what `weights_digest` returned.
    """
    needs_maps = any(branch in CUT_BY_MAP for branch in branches)
    content = {
        "version": _VERSION,
        "weights": weights,
        "branches": branches,
        "flip": config.eval.flip,
        "size": (config.data.height, config.data.width),
        "views": config.views.to_dict(),
        # Where the weights came from does not count.
        "model": {k: v for k, v in config.model.items() if k not in FIELDS},
        "labels": config.data.parsing_labels if needs_maps else None,
    }
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
