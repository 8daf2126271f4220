"""Reads configs with overrides, checks and flattens them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import RequiredValueError

from mbnet_jax import configs, schema
from mbnet_jax.configs import base
from mbnet_jax.files import printable
from mbnet_jax.overrides import override
from mbnet_jax.refusals import shown


def load_config(name: str | Path, overrides: Iterable[str] = ()) -> ConfigDict:
    """Reads a config, as `--config NAME` and `--config.FIELD=VALUE` do.

    Args:
      name: a file, or the name of a config that comes with the package ("synthetic").
      overrides: texts "FIELD=VALUE", such as "train.epochs=2"; the last one of a field
        counts.

    Raises:
      ValueError: if the file or a field does not exist, or a value is not allowed.
    """
    if isinstance(overrides, str | bytes) or not isinstance(overrides, Iterable):
        raise ValueError(
            f"overrides={shown(overrides)} must be a list of texts 'FIELD=VALUE'"
        )
    given = []
    for text in overrides:
        if not isinstance(text, str) or "=" not in text:
            raise ValueError(
                f"the override {shown(text)} must be a text 'FIELD=VALUE', such as "
                "'train.epochs=2'"
            )
        field, _, value = text.partition("=")
        given.append((field.strip(), value))
    return read_config(name, given)


def read_config(
    name: str | Path, given: Iterable[tuple[str, str]], flag: str = ""
) -> ConfigDict:
    """Reads a config, with overrides (FIELD, VALUE) as texts.

    Args:
      name: as in `load_config`.
      given, flag: as in `override`.

    Raises:
      ValueError: as `load_config`.
    """
    file = configs.find(name)
    config = configs.read(file)
    override(config, given, flag)  # checks each
    config = config.copy_and_resolve_references()
    check_config(config, f"config file {printable(file)}")
    with config.ignore_type():
        _set_types(config, base.FIELDS)
    return config


def _set_types(config: ConfigDict, fields: ConfigDict) -> None:
    """Makes a whole number of a config file a float, and a list a tuple."""
    for name, value in config.items():
        field = fields.get(name, fields.get(schema.ANY))
        if isinstance(value, ConfigDict):
            _set_types(value, field)
        elif field.kind in (float, tuple):
            config[name] = field.kind(value)
        elif isinstance(value, list):
            config[name] = tuple(value)


def check_config(config: ConfigDict | dict, what: str = "") -> None:
    """Refuses unknown and missing fields, and values that are not allowed.

    Every entry to the program calls it: commands, Python, saved runs, exports.

    Args:
      config: the whole config.
      what: what has it, for the message, as in "runs/prcc/config.json".

    Raises:
      ValueError: with a line for each field.
    """
    if not isinstance(config, ConfigDict | dict):
        raise ValueError(
            f"{what or 'the config'} must be a ConfigDict, as "
            f"mbnet_jax.load_config('synthetic') returns, not {shown(config)}"
        )
    if isinstance(config, ConfigDict):
        try:
            config = config.copy_and_resolve_references()
        except (RequiredValueError, ValueError, RecursionError) as error:
            raise ValueError(
                f"{what or 'the config'} has references without a value ({error})"
            ) from error
    schema.check(config, base.FIELDS, what)


def flat(config: ConfigDict | dict, prefix: str = "") -> dict[str, Any]:
    """Full dotted name -> value of every field, in the config's order."""
    fields: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, ConfigDict | dict):
            fields |= flat(value, f"{prefix}{key}.")
        else:
            fields[prefix + key] = value
    return fields


def run_folder(config: ConfigDict, workdir: str | Path | None = None) -> Path:
    """The folder of a run: `workdir`, or else `runs/<config name>`.

    Raises:
      ValueError: if `workdir` is no path, or the name cannot be a folder's in `runs`.
    """
    if workdir == "" or not isinstance(workdir, str | Path | None):
        raise ValueError(f"workdir={shown(workdir)} must be a path")
    if workdir:
        return Path(workdir)
    name = config.name
    if not name or name.startswith((".", "/")) or ".." in Path(name).parts:
        raise ValueError(
            f"name={name!r} must be the name of a folder in runs; or give --workdir"
        )
    return Path("runs", name)
