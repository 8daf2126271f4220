"""What identifies an embedding: the network's settings; and that it is usable."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from flax import traverse_util
from ml_collections import ConfigDict

from mbnet_jax.evaluation.batches import Failed
from mbnet_jax.models.branches import needing_maps
from mbnet_jax.runs.network import INITIAL, is_classifier
from mbnet_jax.search.photographs import Photograph, name_of

# To be raised when the same photograph and weights give other embeddings than before.
_VERSION = 1
_TOLERANCE = 1e-2  # of an embedding's length


def weights_digest(variables: Any) -> str:
    """Returns the SHA-256 of the names, shapes and bits of a tree of arrays."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree.leaves_with_path(variables):
        digest.update(f"{jax.tree_util.keystr(path)} {leaf.shape}".encode())
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()


def origin_digest(
    config: ConfigDict, variables: Any, branches: tuple[str, ...], flip: bool
) -> str:
    """Returns 32 letters: a network and its branches, however maps are made.

    A run and its exports, also those in half precision, have the same.

    Args:
      config, variables: the network's.
      branches, flip: as in `settings_digest`.
    """
    arrays = traverse_util.flatten_dict(jax.device_get(variables))
    with np.errstate(over="ignore"):
        rounded = {
            path: np.asarray(value).astype(np.float16)
            for path, value in sorted(arrays.items())
            if not is_classifier(path)
        }
    return settings_digest(config, weights_digest(rounded), branches, flip, "")


def settings_digest(
    config: ConfigDict,
    weights: str,
    branches: tuple[str, ...],
    flip: bool,
    label_set: str,
    parser: str | None = None,
    predicted: bool = False,
) -> str:
    """Returns 32 letters that identify how photographs are embedded.

    Args:
      config: the network's.
      weights: what `weights_digest` returned.
      branches: in the order of `BRANCHES`.
      flip: whether the mirrored image's embedding is added.
      label_set: of parsing maps; it counts if a branch needs them.
      parser: the digest of what makes the maps on the way, in place of the label set.
      predicted: whether the network predicts the maps, in place of both.
    """
    model = config.model.to_dict()
    for backbone in model["backbones"].values():
        backbone.pop("weights", None)  # only a new run reads it
    for field in INITIAL:  # the same
        model.pop(field, None)
    content = {
        "version": _VERSION,
        "weights": weights,
        "branches": branches,
        "flip": flip,
        "size": (config.data.height, config.data.width),
        "views": config.views.to_dict(),
        "model": model,
        "labels": label_set if needing_maps(branches) else None,
    }
    if parser is not None and needing_maps(branches):
        content |= {"labels": None, "parser": parser}
    if predicted:
        content |= {"labels": None, "predicted": True}
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def of_length_1(
    embedded: Iterator[tuple[Sequence[int], np.ndarray]],
    images: Sequence[Photograph],
    network: str,
    failed: Failed | None,
) -> Iterator[tuple[Sequence[int], np.ndarray]]:
    """Leaves out embeddings that are not finite, or zero.

    Such a one has no similarity to any other, so its image must not be in a list.

    Args:
      embedded: indices in `images`, and their rows [b, d].
      images: all of them, for their names.
      network: its name, for the message.
      failed: called with the index of an image that is left out, and the error. None:
        the error is raised.
    """
    with contextlib.closing(embedded):
        for indices, rows in embedded:
            good = np.abs(np.linalg.norm(rows, axis=1) - 1) < _TOLERANCE
            for index, fine in zip(indices, good, strict=True):
                if fine:
                    continue
                error = ValueError(
                    f"the embedding of {name_of(images[index], f'images[{index}]')} "
                    f"is not finite or not of length 1: the network {network!r} is "
                    "damaged or its training diverged; use another checkpoint"
                )
                if failed is None:
                    raise error
                failed(index, error)
            if good.any():
                kept = [i for i, fine in zip(indices, good, strict=True) if fine]
                yield kept, rows[good]
