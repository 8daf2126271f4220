"""JSON files that the project writes, and reads back: checked against a schema."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mbnet_jax import schema
from mbnet_jax.files import read_bytes, write_whole
from mbnet_jax.schema import Field

MAX_BYTES = 16 << 20


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
        content = json.loads(data.decode(), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is damaged (it is not UTF-8 text); {remedy}"
        ) from error
    except (ValueError, RecursionError) as error:  # cut off, huge numbers
        raise ValueError(f"{name} is damaged ({error}); {remedy}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{name} is damaged (it holds no object); {remedy}")
    return content


def _refuse(constant: str) -> None:
    raise ValueError(f"it holds {constant}")
