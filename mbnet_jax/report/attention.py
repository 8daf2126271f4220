"""Attention maps: what the branches attend to, computed and drawn over their views."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.data import Split
from mbnet_jax.data.loader import load_example
from mbnet_jax.evaluation.embed import chosen_branches, sub_network
from mbnet_jax.evaluation.table import title_of
from mbnet_jax.models import BRANCHES, MBNet
from mbnet_jax.models.branches import views_of_branches
from mbnet_jax.models.mbnet import backbone_module
from mbnet_jax.models.modules import DIRECTIONS
from mbnet_jax.report import heat
from mbnet_jax.report.lists import labels_of
from mbnet_jax.report.page import Images
from mbnet_jax.runs.network import Network
from mbnet_jax.views import VIEWS, denormalise, make_views, normalise


class AttentionMaps(NamedTuple):
    """The attention maps of n images.

    Attributes:
      views: view -> uint8 [n, H, W, 3]: the image, and what the branches take.
      maps: branch -> float32 [n, h, w], the map of its module, over the view
        `BRANCHES[branch].attention.view`. A branch whose module is off has no entry.
      reverse: float32 [n, h, w], the other direction of CFM's attention, over the
        silhouette; None without CFM.
      balance: branch -> float32 [n], its weight; empty without a balance.
    """

    views: dict[str, np.ndarray]
    maps: dict[str, np.ndarray]
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
      parsing: uint8 [n, H, W], canonical labels.
    """
    size = min(network.config.eval.batch_size, len(image))
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
      ValueError: if `eval.branches` names a branch that the network does not have.
    """
    chosen = chosen_branches(config.eval.branches, model)
    part = sub_network(model, chosen)
    view_names = views_of_branches(part.branches)
    backbones = {backbone_module(name) for name in part.branches}

    @jax.jit
    def run(variables, image, parsing):
        views = make_views(normalise(image), parsing, config.views, view_names)
        outputs, state = part.apply(
            variables,
            views,
            train=False,
            capture_intermediates=lambda module, _: module.name in backbones,
            mutable=["intermediates"],
        )
        intermediates = state.get("intermediates", {})
        maps = {"ktm": outputs.gate, "fam": outputs.attention}
        maps = {module: m[..., 0] for module, m in maps.items() if m is not None}
        reverse = None
        for name in chosen:
            partner = BRANCHES[name].partner
            if BRANCHES[name].module == "cfm" and "cross_fusion" in intermediates:
                maps["cfm"] = fusion_attention(intermediates, "mask", partner)
                reverse = fusion_attention(intermediates, "unrelated", name)
        maps = {
            name: maps[BRANCHES[name].module]
            for name in chosen
            if BRANCHES[name].attention and BRANCHES[name].module in maps
        }
        return views, maps, reverse, outputs.balance

    def fetched(variables, image, parsing) -> AttentionMaps:
        views, maps, reverse, balance = jax.device_get(run(variables, image, parsing))
        views = {name: to_rgb(name, view) for name, view in views.items()}
        weights = [] if balance is None else balance.T
        return AttentionMaps(
            views | {"image": image},
            maps,
            reverse,
            dict(zip(chosen, weights, strict=True)) if len(weights) else {},
        )

    return fetched


def fusion_attention(intermediates: Mapping, queries: str, attended: str) -> jax.Array:
    """Returns how much CFM attends to each cell of a branch's map: float32 [B, h, w].

    The values are the mean attention weights over heads and queries, as multiples of
    the uniform weight: 1 if every cell is attended to equally.

    Args:
      intermediates: those of the network, with the outputs of its backbones.
      queries: whose tokens attend, a key of `modules.DIRECTIONS`.
      attended: the branch of the keys and values.
    """
    direction = intermediates["cross_fusion"][DIRECTIONS[queries]]
    weights_BxHxQxK = direction["attention"]["attention_weights"][0]
    (features,) = intermediates[backbone_module(attended)]["__call__"]
    batch, height, width, _ = features.map.shape
    mean_BxK = weights_BxHxQxK.astype(jnp.float32).mean((1, 2))
    return (mean_BxK * (height * width)).reshape(batch, height, width)


def to_rgb(name: str, view: np.ndarray) -> np.ndarray:
    """Returns the view `name`, float32 [..., H, W, C], as RGB uint8 [..., H, W, 3].

    A view of one channel becomes white on black.
    """
    if VIEWS[name].channels == 3:
        return denormalise(view)
    return (view * 255).round().astype(np.uint8).repeat(3, axis=-1)


Target = tuple[str, Split, int]  # heading, split, index in it


def draw_attention(
    network: Network, targets: Sequence[Target], images: Images
) -> tuple[list[dict], list[dict]]:
    """Draws the attention maps of each target; adds the pictures to `images`.

    Returns:
      The pictures, labels and balance of each target, and a legend: title, unit, and
      lowest and highest value of each kind of map. All targets share its scale.
    """
    if not targets:
        return [], []
    examples = [
        load_example(split, index, network.config.data) for _, split, index in targets
    ]
    pixels, parsing = (
        np.stack([example[part] for example in examples])
        for part in ("image", "parsing")
    )
    computed = attention_maps(network, pixels, parsing)
    scales = {
        name: heat.value_range(computed.maps[name])
        for name in BRANCHES
        if name in computed.maps
    }
    drawn = []
    for row, (heading, split, index) in enumerate(targets):
        file = split.names[index]
        pictures = []
        for view, branch in _order(computed):
            picture, caption = computed.views[view][row], VIEWS[view].title
            key = file if (view, branch) == ("image", None) else (file, view, branch)
            if branch:
                values = computed.maps[branch][row]
                picture = heat.overlay(picture, values, *scales[branch])
                title = BRANCHES[branch].attention.title
                caption = f"{title}: {values.min():.2f} to {values.max():.2f}"
            number = images.add(key, lambda picture=picture: picture)
            pictures.append({"image": number, "caption": caption})
        drawn.append(
            {
                "heading": heading,
                "file": file,
                "pictures": pictures,
                "balance": {
                    title_of(branch): float(computed.balance[branch][row])
                    for branch in BRANCHES
                    if branch in computed.balance
                },
            }
            | labels_of(split, index)
        )
    legend = [
        {
            "title": BRANCHES[name].attention.title,
            "unit": BRANCHES[name].attention.unit,
            "low": low,
            "high": high,
        }
        for name, (low, high) in scales.items()
    ]
    return drawn, legend


def _order(computed: AttentionMaps) -> list[tuple[str, str | None]]:
    """The pictures in their order: (view, branch whose map lies over it, or None)."""
    order: list[tuple[str, str | None]] = [("image", None)]
    for name, branch in BRANCHES.items():
        if branch.view in computed.views and (branch.view, None) not in order:
            order.append((branch.view, None))
        if name in computed.maps:
            order.append((branch.attention.view, name))
    return order
