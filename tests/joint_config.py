"""A config of two tiny synthetic worlds, trained on together."""

from pathlib import Path

import tiny
from ml_collections import ConfigDict

PARTS = {
    "a": {"name": "synthetic"},
    "b": {"name": "synthetic", "synthetic": {"seed": 1, "cameras": 3}},
}


def joint_config(root: Path, **data) -> ConfigDict:
    """The global branch on two worlds of 6 persons to train on; fields of `data`."""
    c = tiny.global_branch_config(root)
    with c.ignore_type(), c.unlocked():
        c.data.name = (*PARTS,)
        c.data.parts = ConfigDict(PARTS)
        c.data.update(data)
    return c.copy_and_resolve_references()
