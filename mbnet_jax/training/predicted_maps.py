"""Training on the parsing maps that the network predicts; ours.

Tests without maps (`eval.maps=predicted`) give the branches views from predicted maps,
whose errors branches trained on given maps alone have never met.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import random
from ml_collections import ConfigDict

from mbnet_jax.evaluation.predicted import parsing_function
from mbnet_jax.models import MBNet

# Apart from augmentation's own splits of an example's key
_MAPS = 0x3A95

# (variables, image, given maps, a key for each row) -> maps
Exchange = Callable[[dict, jax.Array, jax.Array, jax.Array], jax.Array]


def exchange_function(config: ConfigDict, model: MBNet) -> Exchange | None:
    """Returns a function that puts predicted maps in the place of some of the given.

    It maps (variables, image float32 [B, H, W, 3] normalised, parsing uint8 [B, H, W],
    keys [B]) to parsing maps uint8 [B, H, W]: with the probability
    `train.predicted_maps`, the one that the network predicts with its present weights
    and its running statistics, as in a test. No gradient passes. None: with a
    probability of 0.

    Args:
      config: `train.predicted_maps` and `views` are read.
      model: the network that is trained.

    Raises:
      ValueError: if the network has no head that predicts parsing maps.
    """
    share = config.train.get("predicted_maps", 0.0)
    if not share:
        return None
    predict = parsing_function(config, model)

    def exchange(variables, image, parsing, keys):
        keys = jax.vmap(random.fold_in, (0, None))(keys, _MAPS)
        chosen = jax.vmap(lambda key: random.bernoulli(key, share))(keys)
        predicted = predict(jax.lax.stop_gradient(variables), image)
        return jnp.where(chosen[:, None, None], predicted, parsing)

    return exchange
