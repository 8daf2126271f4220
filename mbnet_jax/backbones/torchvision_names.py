"""A residual network's variables from weights with torchvision's names."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from flax import traverse_util

from mbnet_jax.backbones.fitting import check_fit

# (collection, leaf) of a Flax variable: the leaf's name in PyTorch.
_LEAVES = {
    ("params", "kernel"): "weight",
    ("params", "scale"): "weight",
    ("params", "bias"): "bias",
    ("batch_stats", "mean"): "running_mean",
    ("batch_stats", "var"): "running_var",
}
_STEM = "conv1.weight"
# Ignored: the classifier, and a counter of PyTorch's.
_IGNORED = re.compile(r"fc\..*|.*\.num_batches_tracked")


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
      The same structure as `variables`, float32 NumPy arrays.

    Raises:
      ValueError: listing the names that are missing, those that the network does not
        have, those of another shape, and those that hold nan or infinity.
    """
    shapes = {
        path: value.shape
        for path, value in traverse_util.flatten_dict(dict(variables)).items()
    }
    names = {path: torch_name(path) for path in shapes}
    given = {
        name: np.asarray(value, np.float32)
        for name, value in weights.items()
        if not _IGNORED.fullmatch(name)
    }
    stem, channels = given.get(_STEM), shapes["params", "conv1", "kernel"][2]
    if stem is not None and stem.ndim == 4 and channels == 1:
        given[_STEM] = stem.mean(axis=1, keepdims=True)
    wanted = {name: _torch_shape(shapes[path]) for path, name in names.items()}
    check_fit(given, wanted)
    converted = {}
    for path, name in names.items():
        value = given[name]
        if value.ndim == 4:
            value = value.transpose(2, 3, 1, 0)
        converted[path] = np.ascontiguousarray(value)
    return traverse_util.unflatten_dict(converted)


def likeness(blocks: tuple[int, ...], bottleneck: bool, names: Iterable[str]) -> float:
    """1 if a ResNet of these blocks has weights of such names, else 0."""
    names = set(names)
    found = {m.groups() for n in names if (m := re.match(r"layer(\d)\.(\d+)\.", n))}
    counts = tuple(sum(stage == str(i) for stage, _ in found) for i in range(1, 5))
    return float((counts, "layer1.0.conv3.weight" in names) == (blocks, bottleneck))
