"""Reads configs with overrides, checks and flattens them."""

import difflib
import keyword
import re
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from mbnet_jax import configs, schema
from mbnet_jax.configs import base

# What a value that does not fit, or a missing or faulty file raises.
FLAG_ERRORS = (flags.Error, AttributeError, KeyError, OSError, TypeError, ValueError)
_KEYWORD = re.compile(rf"\.({'|'.join(keyword.kwlist)})(?=\.|$)")


def load_config(name: str | Path, overrides: Sequence[str] = ()) -> ConfigDict:
    """Reads a config, as `--config NAME` and `--config.FIELD=VALUE` do.

    Args:
      name: a file, or the name of a config that comes with the package ("synthetic").
      overrides: texts "FIELD=VALUE", such as "train.epochs=2"; the last one of a field
        counts.

    Raises:
      ValueError: if the file or a field does not exist, or a value does not fit.
    """
    file = configs.find(str(name))
    argv = ["", f"--config={file}", *(f"--config.{text}" for text in overrides)]
    values = flags.FlagValues()
    parsed = parsable(argv)
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=parsed)
    try:
        values(parsed)
        config = values.config.copy_and_resolve_references()
    except FLAG_ERRORS as error:
        raise ValueError(cause(argv) or str(error)) from error
    check_config(config)
    return config


def check_config(config: ConfigDict | dict, what: str = "the config") -> None:
    """Refuses unknown and missing fields, and values that are not allowed.

    Every entry to the program calls it: commands, Python, saved runs, exports.

    Args:
      config: the whole config.
      what: what has it, for the message.

    Raises:
      ValueError: with a line for each field.
    """
    schema.check(config, base.FIELDS, what)


def parsable(argv: Sequence[str]) -> list[str]:
    """Arguments that ml_collections can parse.

    It takes `config.model.backbones.global.name` for Python, in which "global" is a
    keyword, unless that is written `config.model.backbones["global"].name`.
    """
    found = []
    for argument in argv:
        name, equals, value = argument.partition("=")
        if name.lstrip("-").startswith("config."):
            name = _KEYWORD.sub(r'["\1"]', name)
        found.append(f"{name}{equals}{value}")
    return found


def flat(config: ConfigDict | dict, prefix: str = "") -> dict[str, Any]:
    """Full dotted name -> value of every field, in the config's order."""
    fields: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, ConfigDict | dict):
            fields |= flat(value, f"{prefix}{key}.")
        else:
            fields[prefix + key] = value
    return fields


def cause(argv: Sequence[str]) -> str | None:
    """Why `--config ...` arguments failed: a missing file, or an unknown field.

    None if neither is the reason.
    """
    arguments = [argument.lstrip("-").partition("=") for argument in argv]
    names = [name for name, _, _ in arguments]
    if "config" not in names:
        return None
    last = len(names) - 1 - names[::-1].index("config")  # which counts
    name = arguments[last][2] or "".join(argv[last + 1 : last + 2])
    try:
        file = configs.find(name)
    except ValueError as error:
        return str(error)
    # The flag has no value yet: it failed while it read the overrides.
    fields = flat(runpy.run_path(str(file))["get_config"]())
    sections = {
        field.rsplit(".", depth)[0] for field in fields for depth in range(1, 5)
    }
    for name in names:
        path = name.removeprefix("config.")
        if path != name and path not in fields and path not in sections:
            near = difflib.get_close_matches(path, fields, n=3, cutoff=0.5)
            return f"unknown key {name}; nearest known: " + ", ".join(
                f"config.{path}" for path in near or fields
            )
    return None
