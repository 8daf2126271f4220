"""A new run's weights from another run, an export or the hub: all but its classifiers.

The identity and clothes classifiers are of the people of one training, so they start
anew. All else is kept, the necks before the classifiers and the balance among it. The
image parser may be another network's.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import jax
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.backbones.weights.pretrained import Loaded
from mbnet_jax.config import flat
from mbnet_jax.data.datasets import dataset_spec
from mbnet_jax.data.load import validation_policy
from mbnet_jax.data.parts import parts_of
from mbnet_jax.models.branches import owned_backbones
from mbnet_jax.runs.load import load
from mbnet_jax.runs.network import (
    CLASSIFIER,
    HEAD,
    IMAGE_PARSER,
    Network,
    is_classifier,
)
from mbnet_jax.runs.tested import has_own_datasets

_BACKBONE = "_backbone"
_OF_ALL = ("balance_weights", "linear_projection")  # modules of all branches together
_SHOWN = 6  # parameters in a message
# Fields of a backbone that change no parameter.
_FREE = ("weights", "last_stride", "norm_images", "drop_path", "remat", "remat_keeps")

Path = tuple[str, ...]  # of an array: "params", its module, ...


def load_initial(
    config: ConfigDict, variables: Mapping[str, Any], mesh: Mesh
) -> Loaded:
    """Reads the weights of `model.initial` for a new network.

    Prints where they come from, and what starts anew all the same; and warns if they
    know the people held out.

    Args:
      config: of the new run.
      variables: the shapes of its "params" and "batch_stats".
      mesh: the devices.

    Returns:
      The weights, and the source of each module.

    Raises:
      FileNotFoundError, ValueError: naming the field, if there is no such network, or
        parameters do not fit: with both shapes, and the fields that differ.
    """
    source, field, network = _read("initial", config, mesh)
    saved = network.config
    given, wanted = flatten_dict(network.variables), flatten_dict(variables)
    if config.model.get("parser_initial", ""):
        given, wanted = (
            {path: x for path, x in each.items() if path[1] != IMAGE_PARSER}
            for each in (given, wanted)
        )
    more = {*config.model.branches} != {*saved.model.branches}
    wrong, kept = _compared(given, wanted, anew=_OF_ALL if more else ())
    if wrong:
        raise ValueError(
            f"{field} is another network than this run's (its shapes -> this run's):"
            "\n  " + "\n  ".join(_some(wrong)) + "\nFields that differ, as they are "
            f"there: {', '.join(_differing(saved, config)) or 'none'}"
        )
    if not any(path[1].endswith(_BACKBONE) for path in kept):
        raise ValueError(
            f"{field} has none of this run's backbones; its model.branches="
            f"{(*saved.model.branches,)}"
        )
    from_where = f"{source}, step {network.step}"
    modules = _modules(kept)
    lacking = [path for path in wanted if path not in kept and not is_classifier(path)]
    new = ["/".join(path[1:3]) if path[1] in modules else path[1] for path in lacking]
    parts = ", ".join(dict.fromkeys(["the classifiers", *new]))
    print(
        f"the network starts with the weights of {from_where}, necks and balance "
        f"included; anew: {parts}"
    )
    owners = owned_backbones(config.model.branches, config.model.backbones)
    unread = [
        f"model.backbones.{branch}.weights"
        for branch in owners
        if config.model.backbones[branch].weights
    ]
    if unread:
        print(f"not read, since model.initial is given: {', '.join(unread)}")
    _warn_of_held_out(source, saved, config)
    arrays = jax.device_get({path: given[path] for path in kept})
    variables = {"params": {}, "batch_stats": {}} | unflatten_dict(arrays)
    return Loaded(variables, dict.fromkeys(modules, from_where))


def load_parser(
    config: ConfigDict, variables: Mapping[str, Any], loaded: Loaded, mesh: Mesh
) -> Loaded:
    """Adds the image parser of `model.parser_initial` to the weights of a new network.

    Warns if it knows the people held out.

    Args:
      config: of the new run.
      variables: the shapes of its "params" and "batch_stats".
      loaded: the weights of other modules.
      mesh: the devices.

    Raises:
      FileNotFoundError, ValueError: naming the field, if there is no such network, or
        it has no image parser or one of another size.
    """
    source, field, network = _read("parser_initial", config, mesh)
    if IMAGE_PARSER not in network.variables["params"]:
        raise ValueError(
            f"{field} predicts no parsing maps from the image; give a network with "
            "model.parser_image=True, or none ('')"
        )
    parser = {
        kind: {IMAGE_PARSER: jax.device_get(network.variables[kind][IMAGE_PARSER])}
        for kind in loaded.variables
    }
    wanted = {kind: {IMAGE_PARSER: variables[kind][IMAGE_PARSER]} for kind in parser}
    if _compared(flatten_dict(parser), flatten_dict(wanted), anew=())[0]:
        theirs, ours = (
            each.model.get("parser_size", "small") for each in (network.config, config)
        )
        raise ValueError(
            f"{field} has an image parser of model.parser_size={theirs!r}, and this "
            f"run one of {ours!r}; set the same"
        )
    _warn_of_held_out(source, network.config, config)
    return Loaded(
        {kind: of | parser[kind] for kind, of in loaded.variables.items()},
        {**loaded.sources, IMAGE_PARSER: f"{source}, step {network.step}"},
    )


def _read(name: str, config: ConfigDict, mesh: Mesh) -> tuple[str, str, Network]:
    """The network that `model.<name>` gives: its source, the field, and itself."""
    source = config.model[name]
    field = f"model.{name}={source!r}"
    try:
        return source, field, load(source, mesh)
    except (ValueError, FileNotFoundError) as error:
        kind = FileNotFoundError if isinstance(error, OSError) else ValueError
        raise kind(f"{field}: {error}") from error


def _warn_of_held_out(source: str, saved: ConfigDict, config: ConfigDict) -> None:
    if knows_held_out(saved, config):
        print(
            f"warning: {source} was trained on people who are held out now, so "
            "validation promises too much, and so do the threshold and the "
            f"probabilities fitted on them; it had seed={saved.seed}, "
            f"data.validation={saved.data.validation}, "
            f"data.validation_fraction={saved.data.validation_fraction}"
        )


def knows_held_out(saved: ConfigDict, config: ConfigDict) -> bool:
    """Whether a network was trained on people whom `config` holds out.

    In one dataset, the same seed holds out the same people first. Trainings before that
    of the network itself, whose weights it started with, are not looked at.

    Args:
      saved: the config that it was trained with.
      config: of a run that starts with its weights.
    """
    if not has_own_datasets(saved, config):
        return False
    pairs = zip(_fractions(saved), _fractions(config), strict=True)
    differs = saved.seed != config.seed
    return any(now and (differs or then < now) for then, now in pairs)


def _fractions(config: ConfigDict) -> list[float]:
    """The share of each dataset's people that is held out, of those to train on."""
    parts = parts_of(config.data).values()
    return [
        data.validation_fraction
        if validation_policy(data, dataset_spec(data.name)) == "held_out"
        else 0.0
        for data in parts
    ]


def _compared(
    given: Mapping[Path, Any], wanted: Mapping[Path, Any], anew: Collection[str]
) -> tuple[list[str], list[Path]]:
    """Compares the arrays of two networks, but for classifiers.

    Args:
      given: of the source.
      wanted: of the new network. Modules that the source lacks start anew.
      anew: modules that start anew where their shapes differ.

    Returns:
      A line for each array that does not fit, and the arrays that are taken.
    """
    shared = _modules(given).keys() & _modules(wanted).keys()
    differing, kept = {}, []
    for path in {**wanted, **given}:
        ours, theirs = (getattr(x.get(path), "shape", None) for x in (wanted, given))
        if path[1] not in shared or is_classifier(path):
            continue
        if ours == theirs:
            kept.append(path)
        elif None not in (ours, theirs) or not _is_pooling(path):
            differing[path] = f"{'/'.join(path)}: {theirs} -> {ours}"
    wrong = [line for path, line in differing.items() if path[1] not in anew]
    dropped = {path[1] for path in differing}
    return sorted(wrong), [path for path in kept if path[1] not in dropped]


def _is_pooling(path: Path) -> bool:
    """Whether an array is of a head's pooling, of which some have none."""
    return path[1].endswith(HEAD) and path[2] not in (CLASSIFIER, "bnneck")


def _modules(paths: Iterable[Path]) -> dict[str, None]:
    return dict.fromkeys(path[1] for path in paths)


def _some(lines: list[str]) -> list[str]:
    rest = len(lines) - _SHOWN
    return lines[:_SHOWN] + ([f"and {rest} more"] if rest > 0 else [])


def _differing(saved: ConfigDict, config: ConfigDict) -> list[str]:
    """The fields that decide on the network's shapes, and differ: "FIELD=saved"."""
    lines = []
    theirs, ours = flat(saved), flat(config)
    for field in dict.fromkeys([*theirs, *ours]):
        section, _, rest = field.partition(".")
        shapes = section in ("model", "views") or rest in ("height", "width")
        if not shapes or field in ("model.initial", "model.dtype"):
            continue
        if field.rpartition(".")[2] in _FREE or theirs.get(field) == ours.get(field):
            continue
        lines.append(f"{field}={theirs.get(field)!r}")
    return lines
