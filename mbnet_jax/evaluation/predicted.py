"""Parsing maps that the network predicts, in place of given ones."""

from collections.abc import Callable

import jax
from ml_collections import ConfigDict

from mbnet_jax.models import BRANCHES, MBNet
from mbnet_jax.models.branches import views_of_branches
from mbnet_jax.models.modules import predicted_parsing
from mbnet_jax.views import make_views


def can_predict(model: MBNet) -> bool:
    """Whether the network has a head that predicts parsing maps."""
    return model.parser and any(BRANCHES[name].parses for name in model.branches)


def parsing_function(
    config: ConfigDict, model: MBNet
) -> Callable[[dict, jax.Array], jax.Array]:
    """Returns a function (variables, image) -> parsing map, uint8 [B, H, W].

    `image` is float32 [B, H, W, 3], normalised. Labels are the canonical ones. Under
    jit the backbone that the head reads is computed once for the head and its branch,
    and none for `ImageParser`.

    Args:
      config: `views` is read.
      model: the network that `variables` belong to.

    Raises:
      ValueError: if the network has no head that predicts parsing maps.
    """
    if not can_predict(model):
        raise ValueError(
            "the network has no head that predicts parsing maps: give maps "
            "(eval.maps=given), or train one with model.parser=True"
        )
    branches = tuple(name for name in model.branches if BRANCHES[name].parses)
    part = model.clone(branches=branches, balance=False, projection=0)
    names = views_of_branches(branches)

    def predict(variables, image):
        views = make_views(image, None, config.views, names)
        found = part.apply(variables, views, train=False)
        return predicted_parsing(
            found.parsing_logits, image.shape[1:3], found.part_edges
        )

    return predict
