"""Reads the values of config fields from text, as a command line gives them."""

import ast
import math
import re
import shlex
from collections.abc import Iterable
from typing import Any

from ml_collections import ConfigDict

from mbnet_jax import schema
from mbnet_jax.configs import base
from mbnet_jax.refusals import plain, shown, unknown
from mbnet_jax.schema import Field
from mbnet_jax.suggestions import elsewhere, meant

_WHOLE = re.compile(r"[+-]?[0-9](_?[0-9])*")
_FLAGS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_LONGEST = 100_000  # characters of a value
FLAG = "--config."  # what stands before a field on the command line


def override(
    config: ConfigDict, given: Iterable[tuple[str, str]], flag: str = ""
) -> None:
    """Sets fields of `config`; the last value of a field counts.

    Args:
      config: changed in place. Fields that refer to an overridden one follow it.
      given: (FIELD, VALUE) as texts, such as ("train.epochs", "2").
      flag: what stands before FIELD where the user wrote it, for the messages.

    Raises:
      ValueError: naming a field that is unknown, or a value that is not allowed, and
        what to write instead.
    """
    for name, text in given:
        # `backbones["global"]` is how Python has to write it.
        path = re.sub(r"""\[(["'])(\w*)\1\]""", r".\2", name)
        *sections, key = path.split(".")
        field, section, open_to_names = base.FIELDS, config, False
        for part in sections:
            field = _inside(field, part)
            open_to_names |= isinstance(field, ConfigDict) and schema.ANY in field
            section = _entered(section, part, open_to_names and _is_optional(field))
        field = _inside(field, key)
        optional = isinstance(field, Field) and field.optional
        held = isinstance(section, ConfigDict) and (key in section or optional)
        if field is None or not held:
            raise ValueError(_unknown(name, text, _names(config), flag))
        if not isinstance(field, Field):
            known = [n for n in _names(config) if n.startswith(f"{path}.")]
            raise ValueError(
                f"{path}={shown(text)} names a section; override one of its "
                f"fields: {', '.join(known[:10])}"
            )
        value = read(text, field)
        if not field.accepts(value):
            usual = section.get(key, field.default)
            usual = usual if field.accepts(usual) else field.default
            known = usual not in ("", (), None)
            raise ValueError(
                schema.wrong(path, value if _is_number(value) else text, field)
                + (f"; for example {flag}{path}={written(usual)}" if known else "")
            )
        # The type may be another one, and an optional field may be new.
        with config.ignore_type(), config.unlocked():
            section[key] = value


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def suggestion(name: str, text: str, known: Iterable[str], flag: str = FLAG) -> str:
    """What to write in place of the unknown field `name`; "" if nothing is near.

    Args:
      name, text: the field and value that were given.
      known: all fields.
      flag: what stands before a field.
    """
    if words := elsewhere(name):
        return words
    fields = meant(name, known)
    if not fields:
        return ""
    values = [text] * len(fields)
    together = [field.rpartition(".")[2] for field in fields] == ["height", "width"]
    if together:
        parts = re.split("[,x ]+", text.strip("()[] "))
        values = parts if len(parts) == 2 else parts[:1] * 2
    sets = [
        flag + (field if "=" in field or not value else f"{field}={_quoted(value)}")
        for field, value in zip(fields, values, strict=True)
    ]
    return f"write {(' ' if together else ' or ').join(sets)}"


def _unknown(name: str, text: str, known: list[str], flag: str) -> str:
    """That there is no such field, and what to write instead."""
    near = suggestion(name, text, known, flag)
    return f"{plain(name)} is unknown; {near}" if near else unknown(name, known)


def _quoted(text: str) -> str:
    """A value as a shell takes it, shortened."""
    return shlex.quote(text) if len(text) < 40 and text.isprintable() else "VALUE"


def written(value: Any) -> str:
    """A value as the command line takes it; without quotes, where that is possible."""
    if isinstance(value, tuple | list):
        return ",".join(map(written, value)) if value else '"()"'
    return shlex.quote(str(value))


def read(text: str, field: Field) -> Any:
    """The value that `text` writes for `field`; the text itself if it writes none.

    A tuple is written as in Python, "('global', 'mask')", or without quotes and
    parentheses, "global,mask".
    """
    if len(text) > _LONGEST:
        return None
    if field.kind is bool:
        return _FLAGS.get(text.lower())
    if field.kind is str and field.each and text.startswith(("(", "[")):
        field = field.each
    elif field.kind is str and field.each and "," in text:
        return read(text, field.each)
    elif field.kind is str:
        return text
    if field.kind is int:
        return int(text) if _WHOLE.fullmatch(text) and len(text) < 100 else text
    if field.kind is tuple and not text.lstrip().startswith(("(", "[", "'", '"')):
        words = text.removesuffix(",").split(",")
        return tuple(read(word.strip(), field.each) for word in words)
    try:
        if field.kind is float:
            return float(text)
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
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


def _entered(section: Any, name: str, optional: bool) -> Any:
    """The section `name` of a section, made if it may be missing; None if it cannot."""
    if not isinstance(section, ConfigDict):
        return None
    if name not in section and optional:
        with section.unlocked():
            section[name] = ConfigDict(type_safe=False)
    return section.get(name)


def _is_optional(fields: Any) -> bool:
    """Whether every field of a section may be missing."""
    if isinstance(fields, Field):
        return fields.optional
    return isinstance(fields, ConfigDict) and all(map(_is_optional, fields.values()))


def _names(config: ConfigDict, prefix: str = "") -> list[str]:
    """The full names of all fields, in the config's order."""
    found = []
    for key, value in config.items():
        full = f"{prefix}{key}"
        nested = isinstance(value, ConfigDict)
        found += _names(value, f"{full}.") if nested else [full]
    return found
