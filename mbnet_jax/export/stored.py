"""Weights and config of an exported network: written, read, downloaded."""

import json
from pathlib import Path

import jax
import numpy as np
import safetensors.numpy
from flax import traverse_util
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.files import write_whole
from mbnet_jax.models import MBNet
from mbnet_jax.models.weight_files import download, read_weights
from mbnet_jax.sharding import replicated
from mbnet_jax.training.optimizer import make_optimizer
from mbnet_jax.training.run_config import (
    FILE,
    load_num_classes,
    load_num_clothes,
    load_saved,
)
from mbnet_jax.training.step import init_state, make_model

WEIGHTS = "model.safetensors"
KIND, VERSION = "mbnet_jax export", 1
# Folders of the machine that trained: nobody else's business.
_LOCAL = ("root", "parsing_dir")
_SHOWN = 4  # names in an error


def write_weights(variables: dict, folder: Path) -> None:
    """Writes every variable under its path, "params/global_backbone/conv1/kernel"."""
    flat = traverse_util.flatten_dict(jax.device_get(variables), sep="/")
    arrays = {name: np.ascontiguousarray(value) for name, value in flat.items()}
    write_whole(folder / WEIGHTS, safetensors.numpy.save(arrays))


def write_config(config: ConfigDict, folder: Path, **more) -> None:
    """Writes the config, with `more` that is needed to rebuild the network."""
    config = config.copy_and_resolve_references()
    for field in _LOCAL:
        config.data[field] = ""
    content = {"kind": KIND, "version": VERSION, **more, "config": config.to_dict()}
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

    Raises:
      FileNotFoundError: if the weights are missing.
      ValueError: if another version wrote them, or they do not fit the config.
    """
    content = _content(folder)
    if content.get("version") != VERSION:
        raise ValueError(
            f"{folder} was exported in version {content.get('version')} of the format, "
            f"this program reads version {VERSION}; install the mbnet_jax that wrote it"
        )
    config = load_saved(folder)
    classes, clothes = load_num_classes(folder), load_num_clothes(folder)
    model = make_model(config.model, classes, clothes)
    variables = _fitting(
        read_weights(str(folder / WEIGHTS)), _shapes(config, model), folder / WEIGHTS
    )
    return config, model, jax.device_put(variables, replicated(mesh)), content["step"]


def _shapes(config: ConfigDict, model: MBNet) -> dict:
    optimizer = make_optimizer(config.train, steps_per_epoch=1)
    return jax.eval_shape(lambda: init_state(config, model, optimizer)).variables


def _fitting(arrays: dict[str, np.ndarray], wanted: dict, path: Path) -> dict:
    """The arrays as the network's variables, if they are exactly those."""
    shapes = traverse_util.flatten_dict(wanted, sep="/")
    problems = {
        "missing": sorted(shapes.keys() - arrays.keys()),
        "not in the network": sorted(arrays.keys() - shapes.keys()),
        "of another shape or type": [
            f"{name} {arrays[name].dtype}{list(arrays[name].shape)}, not "
            f"{spec.dtype}{list(spec.shape)}"
            for name, spec in sorted(shapes.items())
            if name in arrays
            and (arrays[name].shape, arrays[name].dtype) != (spec.shape, spec.dtype)
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
    return traverse_util.unflatten_dict(arrays, sep="/")
