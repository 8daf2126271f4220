"""The program that embeds: from images and parsing maps to each branch's embedding."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data.needed_maps import predicts_maps
from mbnet_jax.devices.mesh import batch_sharding, replicated
from mbnet_jax.devices.placement import gathering
from mbnet_jax.evaluation.branches import chosen_branches, sub_network
from mbnet_jax.evaluation.predicted import parsing_function
from mbnet_jax.models import MBNet
from mbnet_jax.models.branches import needing_maps, views_of_branches
from mbnet_jax.models.heads import l2_normalize
from mbnet_jax.models.modules import combine
from mbnet_jax.progress import announced
from mbnet_jax.views import make_views, normalise

ALL = "all"  # names the combination of the branches


def make_embed(
    config: ConfigDict,
    model: MBNet,
    mesh: Mesh,
    branches: Sequence[str] | None = None,
    flip: bool | None = None,
    predicted: bool | None = None,
) -> Callable[[dict, jax.Array, jax.Array], dict[str, jax.Array]]:
    """Compiles `embed_function`, with each batch split over the mesh.

    With `train.shard_parameters` the variables may be split as in training.

    Raises:
      ValueError: as in `embed_function`.
    """
    whole, rows = replicated(mesh), batch_sharding(mesh)
    split = config.train.get("shard_parameters", False)
    embed = embed_function(config, model, branches, flip, predicted)
    program = jax.jit(
        gathering(embed, mesh, split=split),
        # None: as they come.
        in_shardings=(None if split else whole, rows, rows),
        out_shardings=whole,
    )

    def what(variables, image, parsing) -> str:
        return f"the embedding of {len(image)} images at a time"

    return announced(program, what)


def embed_function(
    config: ConfigDict,
    model: MBNet,
    branches: Sequence[str] | None = None,
    flip: bool | None = None,
    predicted: bool | None = None,
) -> Callable[[dict, jax.Array, jax.Array | None], dict[str, jax.Array]]:
    """Returns a function (variables, image, parsing) -> kind -> embedding [B, d].

    `image` is uint8 [B, H, W, 3], `parsing` uint8 [B, H, W] with canonical labels. If
    none of the branches needs a parsing map, or the network predicts the maps,
    `parsing` is not read and may be None. A mirrored image has a predicted map of its
    own. The kinds are the branches and, if there are several, "all", their combination.
    Every embedding has length 1.

    A balance, or a projection, is learned for all branches of a network together.
    "all" therefore gives equal weights to a part of the branches.

    Args:
      config: `views` and `eval` are read.
      model: the network that `variables` belong to.
      branches: the branches to embed with; empty: those of the network. None:
        `eval.branches`.
      flip: whether an embedding is f(x) + f(mirrored x). None: `eval.flip`.
      predicted: whether the network predicts the parsing maps. None: `eval.maps`.

    Raises:
      ValueError: if the network does not have one of the branches, or is to predict
        parsing maps and has no head for that.
    """
    if branches is None:
        chosen = chosen_branches(config.eval.branches, model)
    else:
        chosen = chosen_branches(branches, model, "branches")
    flip = config.eval.flip if flip is None else flip
    part = sub_network(model, chosen)
    views_used = views_of_branches(part.branches)
    predicts = predicts_maps(config) if predicted is None else predicted
    predict = parsing_function(config, model) if predicts else None
    needs_parsing = bool(needing_maps(part.branches))

    def embed(variables, image, parsing):
        image = normalise(image)
        parsing = parsing if needs_parsing and not predicts else None
        if flip:
            # An image beside its mirror image: both stay on the device that has it.
            image, parsing = jax.tree.map(
                lambda x: jnp.stack([x, x[:, :, ::-1]], 1).reshape(-1, *x.shape[1:]),
                (image, parsing),
            )
        if predict is not None and needs_parsing:
            parsing = predict(variables, image)
        views = make_views(image, parsing, config.views, views_used)
        outputs = part.apply(variables, views, train=False)
        embeddings = {name: outputs.embeddings[name] for name in chosen}
        if len(chosen) > 1:
            whole = len(chosen) == len(part.branches)
            embeddings[ALL] = (
                outputs.combined if whole else combine([*embeddings.values()], None)
            )
        if flip:
            embeddings = {
                name: rows.reshape(-1, 2, rows.shape[-1]).sum(1)
                for name, rows in embeddings.items()
            }
        return {name: l2_normalize(rows) for name, rows in embeddings.items()}

    return embed
