"""Attention maps: what the branches attend to, computed and drawn over their views."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.data.needed_maps import predicts_maps
from mbnet_jax.evaluation.branches import chosen_branches, sub_network
from mbnet_jax.evaluation.predicted import parsing_function
from mbnet_jax.models import BRANCHES, MBNet
from mbnet_jax.models.branches import backbone_module, ordered, views_of_branches
from mbnet_jax.models.heads import OF_TOKENS
from mbnet_jax.models.modules import DIRECTIONS, Zoom
from mbnet_jax.report.rollout import attention_weights, rollout
from mbnet_jax.runs.network import Network
from mbnet_jax.views import VIEWS, denormalise, make_views, normalise

# Computed at a time: EVA-02-CLIP-L's attention weights of one take 100 MB.
_MOST_IMAGES = 8


class AttentionMaps(NamedTuple):
    """The attention maps of n images.

    Attributes:
      views: view -> uint8 [n, H, W, 3]: the image, and what the branches take.
      maps: branch -> float32 [n, h, w], the map of its module, over the view
        `BRANCHES[branch].attention.view`. A branch whose module is off has no entry.
      rollouts: branch -> float32 [n, h, w], over its view, what its transformer's
        output depends on (`rollout`). Branches with another backbone have no entry.
      reverse: float32 [n, h, w], the other direction of CFM's attention, over the
        silhouette; None without CFM.
      balance: branch -> float32 [n], its weight; empty without a balance.
    """

    views: dict[str, np.ndarray]
    maps: dict[str, np.ndarray]
    rollouts: dict[str, np.ndarray]
    reverse: np.ndarray | None
    balance: dict[str, np.ndarray]


def attention_maps(
    network: Network, image: np.ndarray, parsing: np.ndarray
) -> AttentionMaps:
    """Computes the attention maps of the branches in `eval.branches`.

    They are those of the images as they are, without the mirrored ones. All batches
    have one shape: the last repeats an image.

    Args:
      network: its config names the branches and the batch size.
      image: uint8 [n, H, W, 3], RGB.
      parsing: uint8 [n, H, W], canonical labels. Not read if `eval.maps` are predicted.
    """
    size = min(network.config.eval.batch_size, len(image), _MOST_IMAGES)
    run = attention_function(network.config, network.model)
    # The weights may lie on the devices of other processes; this process runs alone.
    variables = jax.device_get(network.variables)
    batches = []
    for start in range(0, len(image), size):
        rows = np.minimum(np.arange(start, start + size), len(image) - 1)
        batches.append(run(variables, image[rows], parsing[rows]))
    return jax.tree.map(lambda *xs: np.concatenate(xs)[: len(image)], *batches)


def attention_function(
    config: ConfigDict, model: MBNet
) -> Callable[[dict, np.ndarray, np.ndarray], AttentionMaps]:
    """Compiles (variables, image [B, H, W, 3], parsing [B, H, W]) -> `AttentionMaps`.

    Raises:
      ValueError: if `eval.branches` names a branch that the network does not have, or
        `eval.maps` are predicted and it has no head for that.
    """
    chosen = chosen_branches(config.eval.branches, model)
    part = sub_network(model, chosen)
    view_names = views_of_branches(part.branches)
    predict = parsing_function(config, model) if predicts_maps(config) else None
    calls = calls_of(part)
    backbones = {module for module, _ in calls.values()}
    poolings = {
        name: part.backbones[name].get("pooling") or part.pooling
        for name in part.branches
    }

    @jax.jit
    def run(variables, image, parsing):
        image = normalise(image)
        if predict is not None:
            parsing = predict(variables, image)
        views = make_views(image, parsing, config.views, view_names)
        outputs, state = part.apply(
            variables,
            views,
            train=False,
            capture_intermediates=lambda module, _: module.name in backbones,
            mutable=["intermediates"],
        )
        intermediates = state.get("intermediates", {})
        grids, rollouts = {}, {}
        for name, (module, call) in calls.items():
            sown = intermediates[module]
            grids[name] = sown["__call__"][call].map.shape[1:3]
            weights = attention_weights(sown, call)
            if name in chosen and weights is not None:
                of_token = poolings[name] in OF_TOKENS
                rollouts[name] = rollout(weights, grids[name], of_token=of_token)
        maps = {"ktm": outputs.gate, "fam": outputs.attention}
        maps = {module: m[..., 0] for module, m in maps.items() if m is not None}
        reverse = None
        for name in chosen:
            partner = BRANCHES[name].partner
            if BRANCHES[name].module == "cfm" and "cross_fusion" in intermediates:
                maps["cfm"] = fusion_attention(intermediates, "mask", grids[partner])
                reverse = fusion_attention(intermediates, "unrelated", grids[name])
        maps = {
            name: maps[BRANCHES[name].module]
            for name in chosen
            if BRANCHES[name].attention and BRANCHES[name].module in maps
        }
        rollouts = over_views(rollouts, outputs.zoom)
        return views, maps, rollouts, reverse, outputs.balance

    def fetched(variables, image, parsing) -> AttentionMaps:
        views, maps, rollouts, reverse, balance = jax.device_get(
            run(variables, image, parsing)
        )
        views = {name: to_rgb(name, view) for name, view in views.items()}
        weights = [] if balance is None else balance.T
        return AttentionMaps(
            views | {"image": image},
            maps,
            rollouts,
            reverse,
            dict(zip(chosen, weights, strict=True)) if len(weights) else {},
        )

    return fetched


def over_views(maps: dict[str, jax.Array], zoom: Zoom | None) -> dict[str, jax.Array]:
    """Maps per area [B, h, w] of branches, each over the branch's view.

    Those of the branch whose view KTM has enlarged come back from there.
    """
    if zoom is None:
        return maps
    return {
        name: zoom.spread(x) if BRANCHES[name].module == "ktm" else x
        for name, x in maps.items()
    }


def calls_of(model: MBNet) -> dict[str, tuple[str, int]]:
    """Each branch that is on -> its backbone's module, and which call of it is its."""
    calls, count = {}, Counter()
    for name in ordered(model.branches):
        module = backbone_module(name, model.backbones)
        calls[name] = module, count[module]
        count[module] += 1
    return calls


def fusion_attention(
    intermediates: Mapping, queries: str, grid: tuple[int, int]
) -> jax.Array:
    """Returns how much CFM attends to each cell of a branch's map: float32 [B, h, w].

    The values are the mean attention weights over heads and queries, as multiples of
    the uniform weight: 1 if every cell is attended to equally.

    Args:
      intermediates: those of the network.
      queries: whose tokens attend, a key of `modules.DIRECTIONS`.
      grid: rows and columns of the map of the keys and values.
    """
    direction = intermediates["cross_fusion"][DIRECTIONS[queries]]
    weights_BxHxQxK = direction["attention"]["attention_weights"][0]
    mean_BxK = weights_BxHxQxK.astype(jnp.float32).mean((1, 2))
    return (mean_BxK * (grid[0] * grid[1])).reshape(-1, *grid)


def to_rgb(name: str, view: np.ndarray) -> np.ndarray:
    """Returns the view `name`, float32 [..., H, W, C], as RGB uint8 [..., H, W, 3].

    A view of one channel becomes white on black.
    """
    if VIEWS[name].channels == 3:
        return denormalise(view)
    return (view * 255).round().astype(np.uint8).repeat(3, axis=-1)
