"""The `config.json` of a run or an export, read back and checked."""

import os
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax import schema
from mbnet_jax.config import check_config
from mbnet_jax.json_files import read_json
from mbnet_jax.sources import did_you_mean

FILE = "config.json"
# More would not fit into memory.
MAX_CLASSES = 10_000_000
# What the file holds, besides its version.
FIELDS = {
    "config": schema.mapping(),
    "num_classes": schema.whole(None, 1, MAX_CLASSES),
    "num_clothes": schema.whole(None, 0, MAX_CLASSES),
    "labels": schema.optional(schema.text(None)),
}
# Raised when names change that a run saves: config fields, parameters, metrics.
VERSION = 2


def read_config_file(folder: Path) -> dict:
    """The content of `config.json` in the folder of a run.

    Raises:
      FileNotFoundError: if there is none.
      ValueError: if it is damaged, or was not written by this version of the project.
    """
    path = folder / FILE
    if not os.path.lexists(path):
        meant = "" if os.path.lexists(folder) else did_you_mean(folder)
        raise FileNotFoundError(
            f"{folder} holds no run (no {FILE}){meant}; train one first, or give "
            "--workdir"
        )
    remedy = "restore a copy, or give another folder"
    content = read_json(path, {}, remedy)
    if "kind" in content:
        raise ValueError(
            f"{folder} is an exported network, not the folder of a run; give another "
            "--workdir, or test it by mbnet-eval --model"
        )
    if "version" not in content and "config" not in content:
        raise ValueError(
            f"{path} was not written by mbnet_jax for a run; give another --workdir"
        )
    if content.get("version") != VERSION:
        raise ValueError(
            f"the run in {folder} was made by another version of mbnet_jax, which "
            "names config fields and parameters differently; train it again, or use "
            "that version"
        )
    check_content(path, content, FIELDS, remedy)
    return content


def check_content(path: Path, content: dict, fields: dict, remedy: str) -> None:
    """Refuses a `config.json` that was not written by this program.

    Args:
      path: of the file.
      content: what it holds.
      fields: name -> what the entry may be.
      remedy: what to do, for the message.

    Raises:
      ValueError: naming the file, and each entry and field that is wrong.
    """
    what = f"{path} is damaged"
    try:
        known = {name: value for name, value in content.items() if name in fields}
        schema.check(known, fields, what)
        check_config(config_of(content), f"{what}: its config")
    except (ValueError, RecursionError) as error:
        text = str(error)
        text = text if text.startswith(what) else f"{what} ({text})"
        raise ValueError(f"{text}; {remedy}") from error


def config_of(content: dict) -> ConfigDict:
    """The config in a `config.json`; its sequences are tuples, as in config files."""
    return ConfigDict(_with_tuples(content["config"]))


def _with_tuples(value):
    if isinstance(value, dict):
        return {key: _with_tuples(entry) for key, entry in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
