"""Weights trained on ImageNet, for the backbones of a fresh network.

The files are torchvision's, or timm's with the same names. `ResNet` names and pads as
torchvision does, so a weight is converted by its name and the order of its axes.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from flax import traverse_util
from ml_collections import ConfigDict

from mbnet_jax.backbones.resnet import DEPTHS
from mbnet_jax.backbones.weight_files import read_weights
from mbnet_jax.models.mbnet import BRANCHES

# The field of `config.model` that names the weights of each branch's backbone.
FIELD_OF_BRANCH = {
    "global": "pretrained",
    "clothing_unrelated": "pretrained",
    "mask": "mask_pretrained",
}
# Fields of `config.model` that say how a network starts, not what it is.
FIELDS = tuple(dict.fromkeys(FIELD_OF_BRANCH.values()))

# (collection, leaf) of a Flax variable: the leaf's name in PyTorch.
_LEAVES = {
    ("params", "kernel"): "weight",
    ("params", "scale"): "weight",
    ("params", "bias"): "bias",
    ("batch_stats", "mean"): "running_mean",
    ("batch_stats", "var"): "running_var",
}
_STEM = "conv1.weight"
# The classifier, and a counter of PyTorch's: known, and not wanted.
_NOT_WANTED = re.compile(r"fc\..*|.*\.num_batches_tracked")
_SHOWN = 6  # names of each kind in an error


class Loaded(NamedTuple):
    """Weights by the names of the backbones, to be put into a fresh state.

    Attributes:
      variables: "params" and "batch_stats", each backbone -> tree of NumPy arrays.
      sources: backbone -> where its weights come from.
    """

    variables: dict[str, dict[str, Any]]
    sources: dict[str, str]


def load_pretrained(config: ConfigDict, variables: Mapping[str, Any]) -> Loaded:
    """Reads the weights that `config.model` names, for the branches that are on.

    Args:
      config: `config.model`. Its fields `pretrained` (colour branches) and
        `mask_pretrained` name sources (see `read_weights`); "" loads nothing.
      variables: MBNet's "params" and "batch_stats", of which the shapes are used.

    Raises:
      FileNotFoundError, ValueError: naming the field and the source: if it cannot be
        read, the network is of another kind than torchvision's, or a name or a shape
        does not fit.
    """
    loaded = Loaded({"params": {}, "batch_stats": {}}, {})
    for field in FIELDS:
        source = config[field]
        branches = [b for b in BRANCHES if FIELD_OF_BRANCH[b] == field]
        backbones = [f"{b}_backbone" for b in branches if b in config.branches]
        if not source or not backbones:
            continue
        try:
            _check_kind(config, "mask_" if field.startswith("mask_") else "")
            weights = read_weights(source)
            for backbone in backbones:
                shapes = {name: variables[name][backbone] for name in loaded.variables}
                for name, tree in convert(weights, shapes).items():
                    loaded.variables[name][backbone] = tree
                loaded.sources[backbone] = source
        except (ValueError, FileNotFoundError) as error:
            kind = FileNotFoundError if isinstance(error, OSError) else ValueError
            raise kind(f"model.{field}={source!r}: {error}") from error
    return loaded


def _check_kind(config: ConfigDict, prefix: str) -> None:
    """Raises a ValueError for a network that published weights cannot fit."""
    wanted = {f"{prefix}width": 64, f"{prefix}stem": "imagenet"}
    if any(config[field] != value for field, value in wanted.items()):
        raise ValueError(
            "these weights fit the standard network alone: set "
            + " and ".join(
                f"model.{field}={value!r}" for field, value in wanted.items()
            )
            + ", instead of "
            + " and ".join(repr(config[field]) for field in wanted)
            + ', or load none ("")'
        )


def torch_name(path: tuple[str, ...]) -> str:
    """PyTorch's name of a variable, (collection, modules..., leaf).

    ("params", "layer1_0", "downsample_conv", "kernel") is
    "layer1.0.downsample.0.weight".
    """
    collection, *modules, leaf = path
    names = {"downsample_conv": "downsample.0", "downsample_bn": "downsample.1"}
    parts = [names.get(m, re.sub(r"^(layer\d+)_", r"\1.", m)) for m in modules]
    return ".".join([*parts, _LEAVES[collection, leaf]])


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """PyTorch's order of a kernel's axes; other shapes are the same."""
    return tuple(shape[i] for i in (3, 2, 0, 1)) if len(shape) == 4 else shape


def convert(
    weights: Mapping[str, np.ndarray], variables: Mapping[str, Any]
) -> dict[str, Any]:
    """A ResNet's variables from weights with torchvision's names.

    Kernels go from [out, in, height, width] to [height, width, in, out]. Where the
    network's first convolution has one input channel and the file's has three, it
    takes their mean.

    Args:
      weights: name -> array. `fc.*` and `*.num_batches_tracked` are left out.
      variables: "params" and "batch_stats" of a `ResNet`, of which shapes are used.

    Returns:
      The like of `variables`, float32 NumPy arrays.

    Raises:
      ValueError: listing the names that are missing, those that the network does not
        have, those of another shape, and those that hold nan or infinity.
    """
    shapes = {
        path: value.shape
        for path, value in traverse_util.flatten_dict(dict(variables)).items()
    }
    names = {path: torch_name(path) for path in shapes}
    given = {name for name in weights if not _NOT_WANTED.fullmatch(name)}
    problems = {
        "missing": sorted(set(names.values()) - given),
        "not in the network": sorted(given - set(names.values())),
        "of another shape": [],
        "not finite": [],
    }
    converted = {}
    for path, name in names.items():
        if name not in given:
            continue
        value = np.asarray(weights[name], np.float32)
        if name == _STEM and value.ndim == 4 and shapes[path][2] == 1:
            value = value.mean(axis=1, keepdims=True)
        wanted = _torch_shape(shapes[path])
        if value.shape != wanted:
            problems["of another shape"].append(f"{name} {value.shape}, not {wanted}")
        elif not np.isfinite(value).all():
            problems["not finite"].append(name)
        if value.ndim == 4:
            value = value.transpose(2, 3, 1, 0)
        converted[path] = np.ascontiguousarray(value)
    if any(problems.values()):
        raise ValueError(
            _message(problems, _depth_of(given), _depth_of(names.values()))
        )
    return traverse_util.unflatten_dict(converted)


def _message(
    problems: Mapping[str, list[str]], theirs: str | None, ours: str | None
) -> str:
    lines = ["the weights do not fit the network"]
    if theirs != ours:
        lines[0] += f": they are of {theirs or 'another kind'}, it is {ours}"
    for kind, found in problems.items():
        if found:
            more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            lines.append(f"  {len(found)} {kind}: {', '.join(found[:_SHOWN])}{more}")
    return "\n".join(lines)


def _depth_of(names: Iterable[str]) -> str | None:
    """Which of `DEPTHS` has the blocks that the names are of."""
    names = set(names)
    found = {m.groups() for n in names if (m := re.match(r"layer(\d)\.(\d+)\.", n))}
    blocks = tuple(sum(stage == str(i) for stage, _ in found) for i in range(1, 5))
    kind = (blocks, "layer1.0.conv3.weight" in names)
    return next((depth for depth, known in DEPTHS.items() if known == kind), None)
