"""Weights and config of an exported network: written, read, downloaded."""

import json
from pathlib import Path

import jax
import numpy as np
import safetensors.numpy
from flax import traverse_util
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.backbones.weight_files import download, read_weights
from mbnet_jax.devices.mesh import replicated
from mbnet_jax.files import write_whole
from mbnet_jax.models import MBNet
from mbnet_jax.runs.run_folder import (
    FILE,
    load_num_classes,
    load_num_clothes,
    load_saved,
)
from mbnet_jax.training.optimizer import make_optimizer
from mbnet_jax.training.step import init_state, make_model

WEIGHTS = "model.safetensors"
KIND = "mbnet_jax export"
# Each version of the format, and the type that its weights are stored in. A program
# that knows the first alone reads what is stored in float32, and refuses the rest.
_FLOAT32, _FLOAT16 = 1, 2
_STORED = {_FLOAT32: np.dtype(np.float32), _FLOAT16: np.dtype(np.float16)}
# Folders of the machine that trained: nobody else's business.
_LOCAL = ("root", "parsing_dir")
_SHOWN = 4  # names in an error


def write_weights(variables: dict, folder: Path, half: bool = False) -> None:
    """Writes every variable under its path, "params/global_backbone/conv1/kernel".

    Args:
      half: in float16, not float32; `rounded` gives what is then read.

    Raises:
      ValueError: naming a variable that float16 cannot hold.
    """
    arrays = _halved(variables) if half else _flat(variables)
    arrays = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    write_whole(folder / WEIGHTS, safetensors.numpy.save(arrays))


def rounded(variables: dict) -> dict:
    """The variables as float16 keeps them: float32 arrays of NumPy.

    Raises:
      ValueError: naming a variable that float16 cannot hold.
    """
    arrays = {name: v.astype(np.float32) for name, v in _halved(variables).items()}
    return traverse_util.unflatten_dict(arrays, sep="/")


def _flat(variables: dict) -> dict[str, np.ndarray]:
    return traverse_util.flatten_dict(jax.device_get(variables), sep="/")


def _halved(variables: dict) -> dict[str, np.ndarray]:
    """In float16, by path."""
    with np.errstate(over="ignore"):  # told below
        arrays = {name: v.astype(np.float16) for name, v in _flat(variables).items()}
    for name, value in arrays.items():
        if not np.isfinite(value).all():
            raise ValueError(
                f"half precision cannot hold {name}: it has entries beyond "
                f"{np.finfo(np.float16).max:.0f}, or that are not finite"
            )
    return arrays


def write_config(config: ConfigDict, folder: Path, half: bool = False, **more) -> None:
    """Writes the config, with `more` that is needed to rebuild the network.

    `half` is as of `write_weights`.
    """
    config = config.copy_and_resolve_references()
    for field in _LOCAL:
        config.data[field] = ""
    version = _FLOAT16 if half else _FLOAT32
    content = {"kind": KIND, "version": version, **more, "config": config.to_dict()}
    write_whole(folder / FILE, json.dumps(content, indent=2) + "\n")


def is_exported(folder: Path) -> bool:
    """Whether `folder` is an export, of this version or another."""
    return _content(folder).get("kind") == KIND


def _content(folder: Path) -> dict:
    try:
        content = json.loads((folder / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def download_export(hub_id: str) -> Path:
    """The folder, in the hub's cache, of an export that is on the Hugging Face hub.

    Raises:
      ValueError: if it cannot be downloaded, with what to do.
    """
    folder = download(hub_id, FILE, "folder").parent
    if not is_exported(folder):
        raise ValueError(
            f"{hub_id} on the Hugging Face hub is no export of mbnet_jax: its {FILE} "
            "says nothing of it"
        )
    return download(hub_id, WEIGHTS, "folder").parent


def load_exported(folder: Path, mesh: Mesh) -> tuple[ConfigDict, MBNet, dict, int]:
    """Reads an export: config, network, variables on every device, training step.

    Weights that are stored in float16 become float32.

    Raises:
      FileNotFoundError: if the weights are missing.
      ValueError: if another version wrote them, or they do not fit the config.
    """
    content = _content(folder)
    version = content.get("version")
    if version not in _STORED:
        raise ValueError(
            f"{folder} was exported in version {version} of the format, this program "
            f"reads {' and '.join(map(str, _STORED))}; install the mbnet_jax that "
            "wrote it"
        )
    config = load_saved(folder)
    classes, clothes = load_num_classes(folder), load_num_clothes(folder)
    model = make_model(config.model, classes, clothes)
    path = folder / WEIGHTS
    arrays = read_weights(str(path))
    variables = _fitting(arrays, _shapes(config, model), _STORED[version], path)
    return config, model, jax.device_put(variables, replicated(mesh)), content["step"]


def _shapes(config: ConfigDict, model: MBNet) -> dict:
    optimizer = make_optimizer(config.train, steps_per_epoch=1)
    return jax.eval_shape(lambda: init_state(config, model, optimizer)).variables


def _fitting(
    arrays: dict[str, np.ndarray], wanted: dict, stored: np.dtype, path: Path
) -> dict:
    """The arrays as the network's variables, if they are those, of type `stored`."""
    shapes = traverse_util.flatten_dict(wanted, sep="/")
    problems = {
        "missing": sorted(shapes.keys() - arrays.keys()),
        "not in the network": sorted(arrays.keys() - shapes.keys()),
        "of another shape or type": [
            f"{name} {arrays[name].dtype}{list(arrays[name].shape)}, not "
            f"{stored}{list(spec.shape)}"
            for name, spec in sorted(shapes.items())
            if name in arrays
            and (arrays[name].shape, arrays[name].dtype) != (spec.shape, stored)
        ],
    }
    if any(problems.values()):
        raise ValueError(
            f"{path} does not fit the {FILE} beside it; export the network again:\n  "
            + "\n  ".join(
                f"{len(names)} {kind}: {', '.join(names[:_SHOWN])}"
                + (", ..." if len(names) > _SHOWN else "")
                for kind, names in problems.items()
                if names
            )
        )
    variables = {name: arrays[name].astype(shapes[name].dtype) for name in shapes}
    return traverse_util.unflatten_dict(variables, sep="/")
