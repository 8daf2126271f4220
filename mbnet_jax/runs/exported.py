"""An exported network on disk: its weights and config, written, read, downloaded."""

import json
from pathlib import Path

import jax
import numpy as np
import safetensors.numpy
from flax import traverse_util
from jax.sharding import Mesh

from mbnet_jax.backbones.weight_files import download, read_weights
from mbnet_jax.devices.mesh import replicated
from mbnet_jax.files import write_whole
from mbnet_jax.runs.network import Network, abstract_variables, make_model
from mbnet_jax.runs.run_folder import FILE, config_of

WEIGHTS = "model.safetensors"
KIND = "mbnet_jax export"
# Of the format. Versions 1 and 2, float32 and float16 weights, had other config fields.
VERSION = 3
# Folders of the machine that trained: nobody else's business.
_LOCAL = ("root", "parsing_dir")
_SHOWN = 4  # names in an error


def write_weights(variables: dict, folder: Path, half: bool = False) -> None:
    """Writes every variable under its path, "params/global_backbone/conv1/kernel".

    Args:
      variables: float32, "params" and "batch_stats".
      folder: where `model.safetensors` is written.
      half: stores float16, not float32. `rounded` returns what is then read.

    Raises:
      ValueError: naming a variable that float16 cannot hold.
    """
    arrays = _in_float16(variables) if half else _by_path(variables)
    arrays = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    write_whole(folder / WEIGHTS, safetensors.numpy.save(arrays))


def rounded(variables: dict) -> dict:
    """Returns the variables rounded to float16, as float32 NumPy arrays.

    Raises:
      ValueError: naming a variable that float16 cannot hold.
    """
    arrays = {
        k: value.astype(np.float32) for k, value in _in_float16(variables).items()
    }
    return traverse_util.unflatten_dict(arrays, sep="/")


def _by_path(variables: dict) -> dict[str, np.ndarray]:
    return traverse_util.flatten_dict(jax.device_get(variables), sep="/")


def _in_float16(variables: dict) -> dict[str, np.ndarray]:
    with np.errstate(over="ignore"):  # raised below
        arrays = {
            k: value.astype(np.float16) for k, value in _by_path(variables).items()
        }
    for name, value in arrays.items():
        if not np.isfinite(value).all():
            raise ValueError(
                f"half precision cannot hold {name}: it has entries beyond "
                f"{np.finfo(np.float16).max:.0f}, or that are not finite"
            )
    return arrays


def write_config(
    network: Network,
    folder: Path,
    *,
    branches: tuple[str, ...],
    half: bool = False,
    programs: dict | None = None,
) -> None:
    """Writes everything but the weights that is needed to rebuild the network.

    Args:
      network: the network.
      folder: where `config.json` is written.
      branches: those of the embedding, saved as `eval.branches`; empty: all.
      half: as of `write_weights`.
      programs: descriptions of the programs beside it, by name.
    """
    config = network.config.to_dict()
    config["data"] |= dict.fromkeys(_LOCAL, "")
    config["eval"]["branches"] = branches
    content = {
        "kind": KIND,
        "version": VERSION,
        "dtype": "float16" if half else "float32",
        "step": network.step,
        "num_classes": network.model.num_classes,
        "num_clothes": network.model.num_clothes,
        "programs": programs or {},
        "config": config,
    }
    write_whole(folder / FILE, json.dumps(content, indent=2) + "\n")


def is_exported(folder: Path) -> bool:
    """Whether `folder` is an export, of this version of the format or another."""
    return _content(folder).get("kind") == KIND


def _content(folder: Path) -> dict:
    try:
        content = json.loads((folder / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def download_export(hub_id: str) -> Path:
    """Downloads an export from the Hugging Face hub; returns its folder in the cache.

    Raises:
      ValueError: if it cannot be downloaded, with what to do.
    """
    folder = download(hub_id, FILE, "folder").parent
    if not is_exported(folder):
        raise ValueError(
            f"{hub_id} on the Hugging Face hub is no export of mbnet_jax: its {FILE} "
            f'has no "kind": "{KIND}"'
        )
    return download(hub_id, WEIGHTS, "folder").parent


def load_exported(folder: Path, mesh: Mesh) -> Network:
    """Reads an export; its variables are float32, on every device of `mesh`.

    Raises:
      FileNotFoundError: if the weights are missing.
      ValueError: if it has another version of the format, or the weights do not fit
        the config.
    """
    content = _content(folder)
    _check_version(folder, content.get("version"))
    config = config_of(content)
    model = make_model(config.model, content["num_classes"], content["num_clothes"])
    path = folder / WEIGHTS
    variables = _fitting(
        read_weights(str(path)),
        abstract_variables(config, model),
        np.dtype(content["dtype"]),
        path,
    )
    variables = jax.device_put(variables, replicated(mesh))
    return Network(config, model, variables, content["step"])


def _check_version(folder: Path, version: int | None) -> None:
    if version in (1, 2):
        raise ValueError(
            f"{folder} was exported by an earlier version of mbnet_jax and has to be "
            "exported again"
        )
    if version != VERSION:
        raise ValueError(
            f"{folder} was exported in version {version} of the format, this program "
            f"reads version {VERSION}; install the mbnet_jax that wrote it"
        )


def _fitting(
    arrays: dict[str, np.ndarray], abstract: dict, stored: np.dtype, path: Path
) -> dict:
    """The arrays as the network's variables, if they have its names and shapes.

    Their dtype must be `stored`.
    """
    specs = traverse_util.flatten_dict(abstract, sep="/")
    problems = {
        "missing": sorted(specs.keys() - arrays.keys()),
        "not in the network": sorted(arrays.keys() - specs.keys()),
        "of another shape or type": [
            f"{name} {arrays[name].dtype}{list(arrays[name].shape)}, not "
            f"{stored}{list(spec.shape)}"
            for name, spec in sorted(specs.items())
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
    variables = {name: arrays[name].astype(spec.dtype) for name, spec in specs.items()}
    return traverse_util.unflatten_dict(variables, sep="/")
