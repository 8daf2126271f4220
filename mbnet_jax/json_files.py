"""JSON files that the project writes, and reads back: checked against a schema."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mbnet_jax import schema
from mbnet_jax.files import read_bytes, write_whole
from mbnet_jax.refusals import shown
from mbnet_jax.schema import Field

MAX_BYTES = 16 << 20
_DIGITS = 1000  # of a number; far more than any has


def write_json(path: Path, content: Any) -> None:
    """Writes `content` to `path` atomically."""
    write_whole(path, json.dumps(content, indent=2) + "\n")


def read_json(path: Path, fields: Mapping[str, Field], remedy: str) -> dict:
    """Reads an object whose entries `fields` names; others are allowed.

    Args:
      path: of the file.
      fields: name -> what its value may be.
      remedy: what to do if the file is damaged, for the message.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: naming the file, what is wrong and the remedy.
      OSError: if it cannot be read.
    """
    try:
        data = read_bytes(path, MAX_BYTES)
    except ValueError as error:  # a folder, a pipe, more than any such file
        raise ValueError(f"{error}; {remedy}") from error
    content = parse_json(data, str(path), remedy)
    known = {name: value for name, value in content.items() if name in fields}
    schema.check(known, fields, f"{path} is damaged", remedy=remedy)
    return content


def parse_json(data: bytes, name: str, remedy: str) -> dict:
    """Parses a JSON object.

    Raises:
      ValueError: naming `name`, what is wrong and the remedy.
    """
    try:
        return _parsed(data)
    except ValueError as error:
        raise ValueError(f"{name} is damaged ({error}); {remedy}") from error


def _parsed(data: bytes) -> dict:
    """Raises a ValueError that says what is wrong."""
    if not data.strip():
        raise ValueError("it is empty")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("it is not text in UTF-8") from error
    try:
        content = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_number,
            parse_float=_number,
            parse_int=_number,
        )
    except json.JSONDecodeError as error:  # cut off, among others
        raise ValueError(f"it is not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError("it holds no object")
    return content


def _number(text: str) -> float:
    """A finite number, as `write_json` writes it."""
    if len(text) > _DIGITS:
        raise ValueError(f"it holds a number of {len(text):,} characters")
    if text.lstrip("-").isdigit():
        return int(text)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"it holds the number {text}")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict:
    content: dict = {}
    for name, value in pairs:
        if name in content:
            raise ValueError(f"it has {shown(name)} twice")
        content[name] = value
    return content
