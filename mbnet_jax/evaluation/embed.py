"""Embeddings of whole splits: one float32 row per image and kind of embedding."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict
from tqdm import tqdm

from mbnet_jax.data import Split
from mbnet_jax.data.loader import Loader
from mbnet_jax.devices.mesh import batch_sharding, replicated
from mbnet_jax.models import BRANCHES, MBNet
from mbnet_jax.models.balance import combine
from mbnet_jax.models.heads import l2_normalize
from mbnet_jax.views import normalise, views_of

ALL = "all"  # the name of the branches' balanced combination

Embeddings = dict[str, np.ndarray]


def make_embed(
    config: ConfigDict, model: MBNet, mesh: Mesh
) -> Callable[[dict, jax.Array, jax.Array], dict[str, jax.Array]]:
    """Compiles `embed_function`; a batch is split over the mesh.

    Raises:
      ValueError: if `eval.branches` names a branch that the network does not have.
    """
    whole, split = replicated(mesh), batch_sharding(mesh)
    return jax.jit(
        embed_function(config, model),
        in_shardings=(whole, split, split),
        out_shardings=whole,
    )


def embed_function(
    config: ConfigDict, model: MBNet
) -> Callable[[dict, jax.Array, jax.Array | None], dict[str, jax.Array]]:
    """(variables, image, parsing) -> embedding [B, d] of each branch, "all".

    `image` is uint8 [B, H, W, 3], `parsing` uint8 [B, H, W] of canonical labels; the
    global branch alone does not read it, and takes None.

    With `eval.flip` an embedding is f(x) + f(mirrored x); each has length 1. Of the
    branches in `eval.branches`, if it names some; "all" then combines those, with
    equal weights unless they are all the network has: the balance was learned for
    the whole.

    Raises:
      ValueError: if `eval.branches` names a branch that the network does not have.
    """
    model, shown, whole_model = evaluated_part(config, model)

    def embed(variables, image, parsing):
        image = normalise(image)
        if config.eval.flip:
            image = jnp.concatenate([image, image[:, :, ::-1]])
        if shown == ("global",):
            views = {"global": image}
        else:
            if config.eval.flip:
                parsing = jnp.concatenate([parsing, parsing[:, :, ::-1]])
            views = views_of(image, parsing, **config.views).inputs()
        outputs = model.apply(variables, views, train=False)
        embeddings = {name: outputs.embeddings[name] for name in shown}
        if len(shown) > 1:
            weights = outputs.balance if whole_model else None
            embeddings[ALL] = combine(list(embeddings.values()), weights)
        if config.eval.flip:
            embeddings = {
                name: rows.reshape(2, -1, rows.shape[-1]).sum(0)
                for name, rows in embeddings.items()
            }
        return {name: l2_normalize(rows) for name, rows in embeddings.items()}

    return embed


def evaluated_part(
    config: ConfigDict, model: MBNet
) -> tuple[MBNet, tuple[str, ...], bool]:
    """The network that `eval.branches` needs, the branches to show, if that is all.

    Raises:
      ValueError: if `eval.branches` names a branch that the network does not have.
    """
    shown = evaluated_branches(config.eval.branches, model)
    whole = len(shown) == len(model.branches)
    return (model if whole else _part_of(model, shown)), shown, whole


def evaluated_branches(asked: Sequence[str], model: MBNet) -> tuple[str, ...]:
    """The branches to show, in the order of `BRANCHES`."""
    lacking = [branch for branch in asked if branch not in model.branches]
    if lacking:
        raise ValueError(
            f"eval.branches={tuple(asked)} names what the network does not have: "
            f"{', '.join(map(repr, lacking))}; it has {tuple(model.branches)}"
        )
    return tuple(b for b in BRANCHES if b in (asked or model.branches))


def _part_of(model: MBNet, shown: tuple[str, ...]) -> MBNet:
    """The network with the `shown` branches alone, and whom they ask.

    The mask branch was trained on what CFM makes of it together with the
    clothing-unrelated branch, so it is not run without.
    """
    asks = model.cfm and "mask" in shown and "clothing_unrelated" in model.branches
    branches = {*shown, "clothing_unrelated"} if asks else {*shown}
    # The balance's parameters fit the embeddings of all branches only.
    return model.clone(branches=tuple(sorted(branches)), balance=False)


def embed_split(
    embed: Callable, variables: dict, split: Split, loader: Loader, batch_size: int
) -> Embeddings:
    """Embeds every image of `split`: name -> float32 [n, d], in the split's order."""
    rows = []
    with tqdm(
        total=len(split),
        desc="embedding",
        unit="image",
        leave=False,
        delay=2,
        disable=jax.process_index() > 0,
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
