"""Public weights for the backbones of a new run."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mbnet_jax.backbones.layers import known
from mbnet_jax.backbones.registry import BACKBONES, Backbone
from mbnet_jax.backbones.weights.files import read_weights
from mbnet_jax.backbones.weights.spellings import left_out


class Loaded(NamedTuple):
    """Weights to put into a new network.

    Attributes:
      variables: "params" and "batch_stats", each module -> tree of NumPy arrays.
      sources: module -> where its weights come from, and what of them is left out.
    """

    variables: dict[str, dict[str, Any]]
    sources: dict[str, str]


def load_pretrained(
    configs: Mapping[str, Mapping[str, Any]],
    modules: Mapping[str, str],
    variables: Mapping[str, Any],
) -> Loaded:
    """Reads the weights that a config names.

    Args:
      configs: `config.model.backbones`; the field `weights` of each branch names a
        source (see `read_weights`), "" none.
      modules: branch -> name of its backbone's module, for the branches that are on.
      variables: the network's "params" and "batch_stats", of which the shapes are used.

    Raises:
      FileNotFoundError, ValueError: naming the field and the source, if it cannot be
        read or the weights do not fit the backbone.
    """
    loaded = Loaded({"params": {}, "batch_stats": {}}, {})
    files: dict[str, dict] = {}  # branches may start with the same file
    for branch, module in modules.items():
        config = configs[branch]
        source = config.get("weights", "")
        if not source:
            continue
        backbone = known("backbone", config["name"], BACKBONES)
        shapes = {
            name: variables[name][module]
            for name in loaded.variables
            if module in variables.get(name, {})
        }
        try:
            check_published(config, backbone)
            if source not in files:
                files[source] = read_weights(source)
            converted = backbone.convert(files[source], shapes)
        except (ValueError, FileNotFoundError) as error:
            kind = FileNotFoundError if isinstance(error, OSError) else ValueError
            field = f"model.backbones.{branch}.weights"
            raise kind(f"{field}={source!r}: {error}") from error
        for name, tree in converted.items():
            loaded.variables[name][module] = tree
        note = left_out(files[source])
        loaded.sources[module] = f"{source}; {note}" if note else source
    return loaded


def check_published(config: Mapping[str, Any], backbone: Backbone) -> None:
    """Refuses public weights for a backbone that they cannot fit.

    Raises:
      ValueError: saying what to change.
    """
    if backbone.convert is None:
        raise ValueError(
            f"the backbone {config['name']} reads no public weights; set weights=''"
        )
    wanted = backbone.published
    if any(config[field] != value for field, value in wanted.items()):
        raise ValueError(
            "public weights fit the standard network only: set "
            + " and ".join(f"{field}={value!r}" for field, value in wanted.items())
            + " instead of "
            + " and ".join(repr(config[field]) for field in wanted)
            + ", or load none ('')"
        )
