"""An exported network on disk: its weights and config, written and read."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
import safetensors.numpy
from flax import traverse_util
from jax.sharding import Mesh

from mbnet_jax import schema
from mbnet_jax.devices.mesh import replicated
from mbnet_jax.files import write_whole
from mbnet_jax.json_files import read_json, write_json
from mbnet_jax.runs import config_file
from mbnet_jax.runs.config_file import FILE, check_content, config_of
from mbnet_jax.runs.network import INITIAL, Network, described
from mbnet_jax.runs.safetensors_file import read_arrays

WEIGHTS = "model.safetensors"
KIND = "mbnet_jax export"
# The format's. Versions 1 and 2, float32 and float16 weights, had other config fields.
VERSION = 3
# Folders of the machine that trained: nobody else's business.
_LOCAL = ("root", "parsing_dir")
_REMEDY = "export the network again"
# Which files of the folder an export wrote, with their digests.
_MARKER = {
    "files": schema.optional(schema.mapping()),
    "programs": schema.optional(schema.mapping()),
}
_FIELDS = (
    config_file.FIELDS
    | _MARKER
    | {
        "dtype": schema.choice("float32", "float16"),
        "step": schema.whole(None),
        # Whether the weights have those of the identities of training.
        "classifiers": schema.optional(schema.flag(None)),
    }
)
_DIGEST = schema.text(None, 64, 64)
# What exports wrote that do not list their files.
_ALWAYS = (FILE, WEIGHTS, "README.md")
_ENDINGS = (".stablehlo", ".onnx")


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
    halves = _in_float16(variables)
    arrays = {k: value.astype(np.float32) for k, value in halves.items()}
    return traverse_util.unflatten_dict(arrays, sep="/")


def _by_path(variables: dict) -> dict[str, np.ndarray]:
    return traverse_util.flatten_dict(jax.device_get(variables), sep="/")


def _in_float16(variables: dict) -> dict[str, np.ndarray]:
    with np.errstate(over="ignore"):  # raised below
        arrays = {k: v.astype(np.float16) for k, v in _by_path(variables).items()}
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
    files: Sequence[str] = (),
) -> None:
    """Writes everything but the weights that is needed to rebuild the network.

    Also lists `files`: a later export replaces nothing else in the folder.

    Args:
      network: the network.
      folder: where `config.json` is written.
      branches: those of the embedding, saved as `eval.branches`; empty: all.
      half: as in `write_weights`.
      programs: descriptions of the programs beside it, by name.
      files: the names of the other files, which are written already.
    """
    config = network.config.to_dict()
    config["data"] |= dict.fromkeys(_LOCAL, "")
    for part in config["data"].get("parts", {}).values():
        for field in _LOCAL:
            part.pop(field, None)
    for field in INITIAL:
        if config["model"].get(field):
            config["model"][field] = ""  # often a folder too
    config["eval"]["branches"] = branches
    content = {
        "kind": KIND,
        "version": VERSION,
        "dtype": "float16" if half else "float32",
        "step": network.step,
        "num_classes": network.identities,
        "classifiers": network.model.num_classes > 0,
        "num_clothes": network.model.num_clothes,
        "programs": programs or {},
        "files": {name: _digest(folder / name) for name in sorted(files)},
        "config": config,
    }
    write_json(folder / FILE, content)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listed(folder: Path) -> dict[str, bool]:
    """The files that the export in `folder` wrote, and whether each is as it was.

    Raises:
      ValueError: if the list is damaged.
    """
    content = read_json(folder / FILE, _MARKER, "move it away")
    digests = content.get("files")
    if not digests:
        programs = content.get("programs", {})
        names = (f"{name}{ending}" for name in programs for ending in _ENDINGS)
        return dict.fromkeys([*_ALWAYS, *names], True)
    schema.check(
        digests, {schema.ANY: _DIGEST}, f"{folder / FILE} is damaged", "files."
    )
    found = {FILE: True}
    for name, digest in digests.items():
        path = folder / name
        if name == os.path.basename(name) and path.is_file():
            found[name] = not path.is_symlink() and _digest(path) == digest
    return found


def file_names(folder: Path) -> list[str]:
    """The names of the files that the export lists; [] if it lists none."""
    files = _content(folder).get("files")
    return [*files] if isinstance(files, dict) else []


def is_exported(folder: Path) -> bool:
    """Whether `folder` is an export, of this version of the format or another."""
    return _content(folder).get("kind") == KIND


def _content(folder: Path) -> dict:
    try:
        return read_json(folder / FILE, {}, "")
    except (OSError, ValueError):
        return {}


def read_exported(folder: Path) -> dict:
    """The content of an export's `config.json`.

    Raises:
      ValueError: if it is of another version of the format, or damaged.
    """
    content = _content(folder)
    _check_version(folder, content.get("version"))
    check_content(folder / FILE, _with_folders(content), _FIELDS, _REMEDY)
    return content


def load_exported(folder: Path, mesh: Mesh) -> Network:
    """Reads an export; its variables are float32, on every device of `mesh`.

    Raises:
      FileNotFoundError: if the weights are missing.
      ValueError: if it has another version of the format, or the weights do not fit
        the config.
    """
    content = read_exported(folder)
    file, path = folder / FILE, folder / WEIGHTS
    config = config_of(content)
    identities = content["num_classes"]
    classes = identities * content.get("classifiers", True)
    model, abstract = described(file, config, classes, content["num_clothes"])
    unknown = {*config.eval.branches} - {*model.branches}
    if unknown:
        raise ValueError(
            f"{file} is damaged: eval.branches={config.eval.branches} must be of "
            f"model.branches={model.branches}; {_REMEDY}"
        )
    specs = traverse_util.flatten_dict(abstract, sep="/")
    arrays = read_arrays(
        path, {name: (content["dtype"], spec.shape) for name, spec in specs.items()}
    )
    digest = content.get("files", {}).get(WEIGHTS)
    if digest is not None and digest != _digest(path):
        raise ValueError(f"{path} is not what was exported: it is damaged; {_REMEDY}")
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{path}: {name} is not finite; {_REMEDY}")
    variables = {name: arrays[name].astype(spec.dtype) for name, spec in specs.items()}
    variables = traverse_util.unflatten_dict(variables, sep="/")
    variables = jax.device_put(variables, replicated(mesh))
    return Network(config, model, variables, content["step"], identities)


def _with_folders(content: dict) -> dict:
    """The content with `data.root`, which is empty in an export, and in no config."""
    config = content.get("config")
    data = config.get("data") if isinstance(config, dict) else None
    if not isinstance(data, dict) or data.get("root") != "":
        return content
    return content | {"config": config | {"data": data | {"root": "none"}}}


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
