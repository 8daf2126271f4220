"""Configs as flat tables of fields."""

from typing import Any

from ml_collections import ConfigDict


def flat(config: ConfigDict | dict, prefix: str = "") -> dict[str, Any]:
    """Full dotted name -> value of every field, in the config's order."""
    fields: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, ConfigDict | dict):
            fields |= flat(value, f"{prefix}{key}.")
        else:
            fields[prefix + key] = value
    return fields
