"""A network and its weights, as inference needs them: no optimizer, no data."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import traverse_util
from flax.core import freeze
from flax.errors import FlaxError
from ml_collections import ConfigDict

from mbnet_jax.models import BRANCHES, MBNet
from mbnet_jax.views import VIEWS

DTYPES = ("float32", "bfloat16")
# Fields of `model` that say where a new run's weights come from, not what it computes.
INITIAL = ("initial", "parser_initial")
# In the names of modules.
HEAD, CLASSIFIER, _CLOTHES = "_head", "classifier", "clothes_classifier"
IMAGE_PARSER = "image_parser"


class Network(NamedTuple):
    """A trained network.

    config: the run's, for views, preprocessing and evaluation.
    model: the network that it describes.
    variables: what `model.apply` takes, replicated over a mesh.
    step: of training, at which the weights were saved.
    trained_identities: how many it was trained on, if the model has no classifier.
    """

    config: ConfigDict
    model: MBNet
    variables: dict
    step: int
    trained_identities: int = 0

    @property
    def identities(self) -> int:
        """The number of identities that it was trained on."""
        return self.model.num_classes or self.trained_identities


def is_classifier(path: tuple[str, ...]) -> bool:
    """Whether an array is of the identity or clothes classifiers.

    Args:
      path: of the array: "params", its module, ...
    """
    is_head = path[1].endswith(HEAD) and path[2] == CLASSIFIER
    return is_head or path[1] == _CLOTHES


def without_classifiers(network: Network) -> Network:
    """The network that embeds alike, without what only training needs."""
    arrays = traverse_util.flatten_dict(network.variables)
    kept = {path: value for path, value in arrays.items() if not is_classifier(path)}
    return network._replace(
        model=network.model.clone(num_classes=0, num_clothes=0),
        variables=traverse_util.unflatten_dict(kept),
        trained_identities=network.identities,
    )


def make_model(config: ConfigDict, num_classes: int, num_clothes: int = 0) -> MBNet:
    """The network that `config.model` describes, for `num_classes` identities.

    With `num_clothes` it has a classifier of that many classes of clothes.

    Raises:
      ValueError: for an unknown `dtype`.
    """
    if config.dtype not in DTYPES:
        raise ValueError(
            f"model.dtype={config.dtype!r} is unknown; known: {', '.join(DTYPES)}"
        )
    fields = config.to_dict() | {"dtype": jnp.dtype(config.dtype)}
    for field in INITIAL:
        fields.pop(field, None)
    fields["backbones"] = freeze(
        {
            branch: {key: value for key, value in backbone.items() if key != "weights"}
            for branch, backbone in fields["backbones"].items()
        }
    )
    return MBNet(num_classes=num_classes, num_clothes=num_clothes, **fields)


def init_variables(config: ConfigDict, model: MBNet) -> dict:
    """New weights from `config.seed`: "params" and "batch_stats".

    To be called under `jit`, or under `eval_shape` for the shapes alone.
    """
    sizes = {"image": (config.data.height, config.data.width), **config.views}
    views = {
        view: jnp.zeros((1, *sizes[view], VIEWS[view].channels))
        for view in {BRANCHES[branch].view for branch in model.branches}
    }
    variables = model.init(jax.random.key(config.seed), views, train=False)
    return {"params": variables["params"], "batch_stats": variables["batch_stats"]}


def abstract_variables(config: ConfigDict, model: MBNet) -> dict:
    """The shapes and dtypes of the network's variables; computes nothing."""
    return jax.eval_shape(lambda: init_variables(config, model))


def described(
    path: Path, config: ConfigDict, num_classes: int, num_clothes: int
) -> tuple[MBNet, dict]:
    """The network that a saved config describes, and `abstract_variables` of it.

    Raises:
      ValueError: naming the file `path`, if there is no such network.
    """
    try:
        model = make_model(config.model, num_classes, num_clothes)
        return model, abstract_variables(config, model)
    # Raised for an unknown part, or sizes that do not fit together.
    except (
        ArithmeticError,
        FlaxError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(
            f"the config in {path} describes no network ({type(error).__name__}: "
            f"{error}); restore a copy of the file"
        ) from error
