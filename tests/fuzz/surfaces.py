"""Imports all surfaces, which registers them."""

from . import (
    config_cases,
    embed_cases,
    environment_cases,
    images_cases,
    json_cases,
    manifest_cases,
    networks_cases,
    readers_cases,
    retrieval_cases,
    search_cases,
    weights_cases,
)

_ALL = (
    config_cases,
    environment_cases,
    images_cases,
    json_cases,
    manifest_cases,
    search_cases,
    embed_cases,
    networks_cases,
    readers_cases,
    retrieval_cases,
    weights_cases,
)


def prepare() -> None:
    """Makes what all cases share, so that no case's time includes it."""
    for module in _ALL:
        if hasattr(module, "prepare"):
            module.prepare()


def remove() -> None:
    """Removes what they share."""
    for module in _ALL:
        if hasattr(module, "remove"):
            module.remove()
