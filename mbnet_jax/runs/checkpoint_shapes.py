"""Tells a checkpoint of another network from a damaged one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from mbnet_jax.runs.checkpoint_files import check_regular

_WEIGHTS = "weights"  # a part: nested dicts of arrays


def find_misfit(checkpoint: Path, targets: Mapping[str, Any]) -> str | None:
    """Which weight of a checkpoint has not the shape that is asked for.

    None if all have, or the shapes cannot be read.
    """
    try:
        check_regular(checkpoint)
        with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as reader:
            found = reader.metadata(checkpoint.absolute() / _WEIGHTS)
        found = getattr(found, "item_metadata", found)  # by Orbax's version
        saved = _shapes(getattr(found, "tree", found))
        wanted = _shapes(targets[_WEIGHTS])
    except Exception:  # damaged: reading it will say how
        return None
    # Without a readable index there are none.
    for name in sorted({*saved, *wanted}) if saved else ():
        if saved.get(name) != wanted.get(name):
            return (
                f"is of another network: {name} has the shape "
                f"{saved.get(name, 'none')} there, and {wanted.get(name, 'none')} in "
                "the network of config.json; restore the config.json that belongs to it"
            )
    return None


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): tuple(leaf.shape) for path, leaf in leaves}
