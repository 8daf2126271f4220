"""A backbone by its name, with public weights, outside any network."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.backbones.layers import known
from mbnet_jax.backbones.registry import BACKBONES, Variables, nearest
from mbnet_jax.backbones.weights.files import read_weights
from mbnet_jax.backbones.weights.pretrained import check_published
from mbnet_jax.backbones.weights.spellings import left_out


def load_backbone(
    name: str,
    weights: str | None,
    *,
    height: int,
    width: int,
    dtype: Any = jnp.float32,
    **fields: Any,
) -> tuple[nn.Module, Variables]:
    """A backbone and its variables: `module.apply(variables, x, train=False)`.

    It returns `Features` of images x [B, height, width, 3], float32, of which
    `BACKBONES[name].mean` has been taken and which have been divided by `.std`. They
    are what timm's `forward_features` returns for a model of this name: the map of a
    ResNet; a transformer's tokens of the cells, as a map, and its class token. The
    models of timm that pool cells before a norm (`fc_norm`) are not normalised.

    Args:
      name: a key of `BACKBONES`: timm's name, with a tag or without.
      weights: a Hugging Face hub id such as "timm/eva02_base_patch16_clip_224.merged2b"
        or a path (see `read_weights`); "" or None: random.
      height, width: of the images, in pixels; of a transformer, multiples of its patch.
      dtype: of the computation, float32 or bfloat16; the variables are float32.
      fields: others of `config.model.backbones.<branch>` that the backbone has, such as
        `last_stride` and `drop_path`. Without them, it is the network as published.

    Returns:
      The module, and its variables: NumPy arrays if they are read, else of jax.

    Raises:
      FileNotFoundError, ValueError: naming the argument, if the backbone or a field is
        unknown, it does not take such images, or the weights cannot be read or do not
        fit.
    """
    try:
        backbone = known("backbone", name, BACKBONES)
    except ValueError as error:
        raise ValueError(f"name={name!r}: {error}") from error
    for field in fields:
        known(f"field of {name}", field, dict.fromkeys(backbone.fields))
    for side, pixels in (("height", height), ("width", width)):
        if pixels < 1 or pixels % backbone.multiple:
            raise ValueError(
                f"{side}={pixels} must be a multiple of {backbone.multiple}, the patch "
                f"of {name}; the nearest is {nearest(pixels, backbone.multiple)}"
            )
    fields = {**backbone.defaults, **fields}
    module = backbone.make(dtype=dtype, name=None, **fields)
    image = jnp.zeros((1, height, width, 3))

    def init(key: jax.Array) -> Variables:
        return module.init(key, image, train=False)

    key = jax.random.key(0)
    if not weights:
        return module, jax.jit(init)(key)
    try:
        check_published({"name": name} | fields, backbone)
        read = read_weights(weights)
        variables = backbone.convert(read, jax.eval_shape(init, key))
    except (ValueError, FileNotFoundError) as error:
        kind = FileNotFoundError if isinstance(error, OSError) else ValueError
        raise kind(f"weights={weights!r}: {error}") from error
    if note := left_out(read):
        print(f"{weights}: {note}")
    return module, variables
