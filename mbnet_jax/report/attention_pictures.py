"""Draws the attention maps of chosen images over their views."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mbnet_jax.data import Split
from mbnet_jax.data.loader import load_example
from mbnet_jax.evaluation.table import title_of
from mbnet_jax.models import BRANCHES
from mbnet_jax.report import heat
from mbnet_jax.report.attention import AttentionMaps, attention_maps
from mbnet_jax.report.lists import labels_of
from mbnet_jax.report.page import Images
from mbnet_jax.report.rollout import UNIT
from mbnet_jax.runs.network import Network
from mbnet_jax.views import VIEWS

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
    layers = layers_of(computed)
    scales = [heat.value_range(layer.values) for layer in layers]
    drawn = []
    for row, (heading, split, index) in enumerate(targets):
        file = split.names[index]
        pictures = []
        for view, layer in _order(computed, layers):
            picture, caption = computed.views[view][row], VIEWS[view].title
            key = file if (view, layer) == ("image", None) else (file, view, layer)
            if layer is not None:
                values = layers[layer].values[row]
                picture = heat.overlay(picture, values, *scales[layer])
                title = layers[layer].title
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
        {"title": layer.title, "unit": layer.unit, "low": low, "high": high}
        for layer, (low, high) in zip(layers, scales, strict=True)
    ]
    return drawn, legend


class Layer(NamedTuple):
    """One kind of map.

    Attributes:
      branch: whose it is.
      title: its caption.
      unit: of its values.
      view: that it is drawn over.
      values: float32 [n, h, w].
    """

    branch: str
    title: str
    unit: str
    view: str
    values: np.ndarray


def layers_of(computed: AttentionMaps) -> list[Layer]:
    """The maps of each branch: its transformer's, then its module's."""
    layers = []
    for name, branch in BRANCHES.items():
        if name in computed.rollouts:
            drawn = (f"attention rollout, {branch.title}", UNIT, branch.view)
            layers.append(Layer(name, *drawn, computed.rollouts[name]))
        if name in computed.maps:
            layers.append(Layer(name, *branch.attention, computed.maps[name]))
    return layers


def _order(
    computed: AttentionMaps, layers: Sequence[Layer]
) -> list[tuple[str, int | None]]:
    """The pictures in their order: (view, index of the layer over it, or None)."""
    order: list[tuple[str, int | None]] = [("image", None)]
    for name, branch in BRANCHES.items():
        if branch.view in computed.views and (branch.view, None) not in order:
            order.append((branch.view, None))
        order += [
            (layer.view, i) for i, layer in enumerate(layers) if layer.branch == name
        ]
    return order
