"""Embeds images or tracklets: one float32 row for each and kind of embedding."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Dataset, Split
from mbnet_jax.data.loader import Loader
from mbnet_jax.data.needed_maps import predicts_maps
from mbnet_jax.evaluation.batches import Batch, embed_batches
from mbnet_jax.evaluation.embed_function import ALL, make_embed
from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.evaluation.tracklets import mean_embeddings
from mbnet_jax.models import BRANCHES
from mbnet_jax.runs.network import Network

Embeddings = dict[str, np.ndarray]  # kind -> float32 [n, d]


@dataclasses.dataclass(frozen=True)
class Embedded:
    """Images or tracklets with their embeddings, kind -> float32 [n, d]."""

    split: Split
    embeddings: Embeddings

    def subset(self, indices: np.ndarray) -> "Embedded":
        """Returns the rows `indices`, in that order; all of them without a copy."""
        if np.array_equal(indices, np.arange(len(self.split))):
            return self
        return Embedded(
            self.split.subset(indices),
            {name: rows[indices] for name, rows in self.embeddings.items()},
        )


def embed_split(
    embed: Callable,
    variables: dict,
    split: Split,
    loader: Loader,
    batch_size: int,
    name: str = "images",
) -> Embeddings:
    """Embeds every row of `split`: kind -> float32 [n, d], in the split's order.

    For tracklets, the frames are embedded in batches that are not kept; see
    `mean_embeddings`.

    Raises:
      ValueError: an image cannot be read, or has no usable embedding; the message
        has `name`, which says what the images are.
    """
    images, rows = split, np.arange(len(split))
    if split.frames:
        images = split.frames.images.subset(np.concatenate(split.frames.of_row))
        rows = np.repeat(rows, [*map(len, split.frames.of_row)])
    starts = range(0, len(images), batch_size)
    batches = (
        Batch(range(len(images))[start : start + batch_size], b["image"], b["parsing"])
        for start, b in zip(starts, loader.evaluate(images, batch_size), strict=True)
    )
    embed = functools.partial(embed, variables)
    parts = embed_batches(embed, batches, len(images), f"embedding {name}")

    def checked(indices: Sequence[int], part: Embeddings) -> Embeddings:
        check_embeddings(name, images.subset(np.asarray(indices)), part)
        return part

    if split.frames:
        # A mean would hide which frame is at fault.
        found = mean_embeddings(
            ((rows[list(indices)], checked(indices, part)) for indices, part in parts),
            len(split),
        )
    else:
        found = _filled(parts, len(split))
    # jit sorts the kinds.
    embeddings = {k: found[k] for k in (*BRANCHES, ALL, *found) if k in found}
    check_embeddings(name, split, embeddings)
    return embeddings


def _filled(
    parts: Iterable[tuple[Sequence[int], Embeddings]], count: int
) -> Embeddings:
    """The rows of all batches, kind -> float32 [count, d], each in memory once."""
    found: Embeddings = {}
    for indices, part in parts:
        for kind, rows in part.items():
            if kind not in found:
                found[kind] = np.empty((count, rows.shape[1]), rows.dtype)
            found[kind][indices[0] : indices[-1] + 1] = rows
    return found


def check_embeddings(name: str, split: Split, embeddings: Embeddings) -> None:
    """Checks that every row has an embedding that can be compared.

    Args:
      name: what the images are, for the message.
      split: the images or tracklets.
      embeddings: theirs.

    Raises:
      ValueError: an embedding is not finite, or zero.
    """
    for kind, rows in embeddings.items():
        with np.errstate(over="ignore", invalid="ignore"):
            square = np.einsum("nd,nd->n", rows, rows)  # needs no copy of the rows
        bad = np.flatnonzero(~((square > 0) & (square < np.inf)))
        if len(bad):
            raise ValueError(
                f"{name}: the embedding {kind!r} of {len(bad)} of {len(split)} "
                f"{split.unit} is NaN, infinite or zero, first of "
                f"{split.names[bad[0]]!r}; the "
                "weights are damaged or have diverged: use another checkpoint"
            )


def embed_test(
    config: ConfigDict,
    network: Network,
    dataset: Dataset,
    protocols: Sequence[Protocol],
    mesh: Mesh,
    embed: Callable | None = None,
) -> dict[str, Embedded]:
    """Embeds the test splits that the protocols need: split name -> its rows.

    `embed` is that of `make_embed`, if there is one already.

    Raises:
      ValueError: if `eval.branches` names a branch that the network does not have, or
        an image cannot be read, or its embedding is not finite.
    """
    embed = embed or make_embed(config, network.model, mesh)
    loader = Loader(config.data, mesh, reads_maps=not predicts_maps(config))
    return {
        name: Embedded(
            dataset.test[name],
            embed_split(
                embed,
                network.variables,
                dataset.test[name],
                loader,
                config.eval.batch_size,
                f"test split {name!r}",
            ),
        )
        for name in sorted({s for p in protocols for s in (p.query, p.gallery)})
    }


def main_embedding(embeddings: Embeddings) -> str:
    """Returns the kind that stands for the network: "all", or its only branch."""
    return list(embeddings)[-1]
