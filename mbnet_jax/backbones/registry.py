"""What a backbone is to the rest of the package, and the table of those known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mbnet_jax.backbones.layers import known
from mbnet_jax.images import IMAGENET_MEAN, IMAGENET_STD


class Features(NamedTuple):
    """What a backbone returns.

    map: [B, h, w, d].
    token: [B, d], a class token; None where the network has none.
    stages: the map after each stage, [B, h', w', d'], from fine to coarse; () where the
      network has none.
    """

    map: jax.Array
    token: jax.Array | None = None
    stages: tuple[jax.Array, ...] = ()


Variables = Mapping[str, Any]


@dataclass(frozen=True)
class Backbone:
    """The contract of a backbone, which a ResNet and a transformer both meet.

    Attributes:
      make: (dtype=, name=, **fields) -> a Linen module that maps views [B, H, W, C]
        to `Features`, called as `module(x, train=...)`; if `fields` has "drop_path",
        with `keys` [B] too, a random key for each image, while it drops paths.
      fields: the fields of `config.model.backbones.<branch>` that `make` takes.
      convert: (arrays of a public weights file by name, the module's variables or
        their shapes) -> the variables as NumPy arrays. It raises a ValueError that
        lists what does not fit. None: the backbone has no public weights.
      published: the values of `fields` that public weights were trained with.
      defaults: the values of `fields` with which `load_backbone` makes the network,
        as published.
      likeness: (arrays of a weights file) -> how much their names and shapes are this
        network's, 0 to 1; for messages.
      stages: how many it has. With `after`, a mapping from a stage's number (from 1) to
        a function of its map, the function's result takes the map's place.
      multiple: the height and width of its views are multiples of this.
      depths: (the module's parameters) -> the number of layers above each of them, in
        the same structure, for layer-wise decay: numbers, or int arrays that broadcast
        against stacked parameters ([blocks, 1, ...]). A stem below n blocks has n above
        it, the last block and what follows it 0. None: the layers have no order.
      mean, std: of the RGB input in [0, 1], three each.
    """

    make: Callable[..., nn.Module]
    fields: tuple[str, ...] = ()
    convert: Callable[[Mapping[str, np.ndarray], Variables], Variables] | None = None
    published: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    likeness: Callable[[Mapping[str, np.ndarray]], float] | None = None
    stages: int = 0
    multiple: int = 1
    depths: Callable[[Variables], Variables] | None = None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


class Table(dict[str, Backbone]):
    """Backbones by name. A name may have a tag, as timm's have: "resnet50.tv_in1k".

    A tag without an entry of its own names the same network as none.
    """

    def __missing__(self, name: str) -> Backbone:
        """The backbone of a name without its tag."""
        bare, dot, _ = name.partition(".")
        if not dot:
            raise KeyError(name)
        return self[bare]

    def __contains__(self, name: object) -> bool:
        """Whether the name is known, with its tag or without."""
        known = super().__contains__
        return known(name) or known(str(name).partition(".")[0])


# The values of `config.model.backbones.<branch>.name`, which may have a tag.
BACKBONES = Table()


def register(name: str, backbone: Backbone) -> None:
    """Lets configs use a backbone under `name`; replaces an earlier one."""
    BACKBONES[name] = backbone


def make_backbone(config: Mapping[str, Any], *, dtype, name: str) -> nn.Module:
    """Builds the module that `config`, a `config.model.backbones.<branch>`, describes.

    Raises:
      ValueError: if the backbone is unknown.
    """
    backbone = known("backbone", config["name"], BACKBONES)
    fields = {key: config[key] for key in backbone.fields if key in config}
    return backbone.make(dtype=dtype, name=name, **fields)


def nearest(side: int, multiple: int) -> int:
    """The multiple, at least one, that is nearest to a side of an image in pixels."""
    return max(round(side / multiple), 1) * multiple


def drops_path(config: Mapping[str, Any]) -> bool:
    """Whether the backbone of a `config.model.backbones.<branch>` drops paths.

    Raises:
      ValueError: if the backbone is unknown.
    """
    backbone = known("backbone", config["name"], BACKBONES)
    return "drop_path" in backbone.fields and config.get("drop_path", 0.0) > 0


def renormalised(x: jax.Array, name: str) -> jax.Array:
    """Scales a view, normalised as ImageNet is, to what backbone `name` was trained on.

    Views of one channel, which are not normalised, and views of backbones with
    ImageNet's own constants are returned unchanged.

    Raises:
      ValueError: if the backbone is unknown.
    """
    backbone = known("backbone", name, BACKBONES)
    own = (backbone.mean, backbone.std)
    if x.shape[-1] != 3 or own == (IMAGENET_MEAN, IMAGENET_STD):
        return x
    mean, std = map(jnp.array, own)
    return (x * jnp.array(IMAGENET_STD) + jnp.array(IMAGENET_MEAN) - mean) / std


def layers_above(config: Mapping[str, Any], params: Variables) -> Variables:
    """The number of layers above each parameter of a backbone; see `Backbone.depths`.

    Args:
      config: a `config.model.backbones.<branch>`.
      params: the backbone's, of which the structure is used.

    Raises:
      ValueError: if the backbone is unknown, or its layers have no order.
    """
    backbone = known("backbone", config["name"], BACKBONES)
    if backbone.depths is None:
        raise ValueError(
            f"the layers of the backbone {config['name']} have no order; set "
            "train.layer_decay=1"
        )
    return backbone.depths(params)
