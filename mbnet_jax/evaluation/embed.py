"""Embeddings of whole splits: one float32 row per image and kind of embedding."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict
from tqdm import tqdm

from mbnet_jax.data import Split
from mbnet_jax.data.loader import Loader
from mbnet_jax.models import BRANCHES, MBNet
from mbnet_jax.models.heads import l2_normalize
from mbnet_jax.preprocessing.views import normalise, views_of
from mbnet_jax.sharding import batch_sharding, replicated

ALL = "all"  # the name of the branches' balanced combination

Embeddings = dict[str, np.ndarray]


def make_embed(
    config: ConfigDict, model: MBNet, mesh: Mesh
) -> Callable[[dict, jax.Array, jax.Array], dict[str, jax.Array]]:
    """Compiles (variables, image, parsing) -> embedding [B, d] of each branch, "all".

    With `eval.flip` an embedding is f(x) + f(mirrored x); each has length 1.
    """

    def embed(variables, image, parsing):
        image = normalise(image)
        if config.eval.flip:
            image = jnp.concatenate([image, image[:, :, ::-1]])
            parsing = jnp.concatenate([parsing, parsing[:, :, ::-1]])
        views = views_of(image, parsing, **config.views)
        outputs = model.apply(variables, views.inputs(), train=False)
        embeddings = dict(outputs.embeddings)
        if len(embeddings) > 1:
            embeddings[ALL] = outputs.combined
        if config.eval.flip:
            embeddings = {
                name: sum(jnp.split(rows, 2)) for name, rows in embeddings.items()
            }
        return {name: l2_normalize(rows) for name, rows in embeddings.items()}

    whole, split = replicated(mesh), batch_sharding(mesh)
    return jax.jit(embed, in_shardings=(whole, split, split), out_shardings=whole)


def embed_split(
    embed: Callable, variables: dict, split: Split, loader: Loader, batch_size: int
) -> Embeddings:
    """Embeds every image of `split`: name -> float32 [n, d], in the split's order."""
    rows = []
    with tqdm(
        total=len(split), desc="embedding", unit="image", leave=False, delay=2
    ) as bar:
        for batch in loader.evaluate(split, batch_size):
            done = embed(variables, batch["image"], batch["parsing"])
            rows.append(jax.device_get(done))
            bar.update(min(batch_size, len(split) - bar.n))
    return {
        name: np.concatenate([row[name] for row in rows])[: len(split)]
        for name in (*BRANCHES, ALL)
        if name in rows[0]
    }


def main_embedding(embeddings: Embeddings) -> str:
    """The embedding that stands for the network: "all", or its only branch."""
    return list(embeddings)[-1]
