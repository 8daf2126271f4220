"""Reads the values of config fields from text, as a command line gives them."""

import ast
import re
from collections.abc import Iterable
from typing import Any

from ml_collections import ConfigDict

from mbnet_jax import schema
from mbnet_jax.configs import base
from mbnet_jax.refusals import shown, unknown
from mbnet_jax.schema import Field

_WHOLE = re.compile(r"[+-]?[0-9](_?[0-9])*")
_NAME = re.compile("[A-Za-z_][A-Za-z_0-9]*")  # a tuple of one name, without quotes
_FLAGS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_LONGEST = 100_000  # characters of a value


def override(config: ConfigDict, given: Iterable[tuple[str, str]]) -> None:
    """Sets fields of `config`; the last value of a field counts.

    Args:
      config: changed in place. Fields that refer to an overridden one follow it.
      given: (FIELD, VALUE) as texts, such as ("train.epochs", "2").

    Raises:
      ValueError: naming a field that is unknown, or a value that is not allowed.
    """
    for name, text in given:
        # `backbones["global"]` is how Python has to write it.
        path = re.sub(r"""\[(["'])(\w*)\1\]""", r".\2", name)
        *sections, key = path.split(".")
        field, section = base.FIELDS, config
        for part in sections:
            field = _inside(field, part)
            section = section.get(part) if isinstance(section, ConfigDict) else None
        field = _inside(field, key)
        held = isinstance(section, ConfigDict) and key in section
        if field is None or not held:
            raise ValueError(unknown(name, _names(config)))
        if not isinstance(field, Field):
            known = [n for n in _names(config) if n.startswith(f"{path}.")]
            raise ValueError(
                f"{path}={shown(text)} names a section; override one of its "
                f"fields: {', '.join(known[:10])}"
            )
        value = read(text, field)
        if not field.accepts(value):
            raise ValueError(schema.wrong(path, text, field))
        with config.ignore_type():  # of what is overridden
            section[key] = value


def read(text: str, field: Field) -> Any:
    """The value that `text` writes for `field`; the text itself if it writes none."""
    if len(text) > _LONGEST:
        return None
    if field.kind is bool:
        return _FLAGS.get(text.lower())
    if field.kind is str:
        return text
    if field.kind is int:
        return int(text) if _WHOLE.fullmatch(text) and len(text) < 100 else text
    try:
        if field.kind is float:
            return float(text)
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        bare = field.kind is tuple and _NAME.fullmatch(text)
        return (text,) if bare else text
    if field.kind is tuple and not isinstance(value, tuple | list):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def is_flag(name: str) -> bool:
    """Whether the field `name` is True or False, so that its name alone means True."""
    field = base.FIELDS
    for part in name.split("."):
        field = _inside(field, part)
    return isinstance(field, Field) and field.kind is bool


def _inside(fields: Any, name: str) -> Any:
    """The field or section `name` of a section; None if there is none."""
    if not isinstance(fields, ConfigDict):
        return None
    return fields.get(name, fields.get(schema.ANY))


def _names(config: ConfigDict, prefix: str = "") -> list[str]:
    """The full names of all fields, in the config's order."""
    found = []
    for key, value in config.items():
        full = f"{prefix}{key}"
        nested = isinstance(value, ConfigDict)
        found += _names(value, f"{full}.") if nested else [full]
    return found
