"""Imports all surfaces, which registers them."""

import sys
from collections.abc import Sequence

from . import (  # noqa: F401
    commands_cases,
    config_cases,
    embed_cases,
    environment_cases,
    images_cases,
    json_cases,
    manifest_cases,
    maps_cases,
    networks_cases,
    prepared_cases,
    readers_cases,
    retrieval_cases,
    search_cases,
    synthetic_cases,
    weights_cases,
)
from .case import SURFACES


def prepare(names: Sequence[str]) -> None:
    """Makes what the cases of some surfaces share, which no case's time includes."""
    for module in dict.fromkeys(SURFACES[name].make.__module__ for name in names):
        getattr(sys.modules[module], "prepare", lambda: None)()
