"""MBNet: clothes-changing person re-identification in JAX and Flax.

`load_config`, `load_parser`, `train`, `Run`, `ExportedRun` and `Embedder` are imported
when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mbnet_jax.api import Run, train
    from mbnet_jax.config import load_config
    from mbnet_jax.exported_run import ExportedRun
    from mbnet_jax.parsing.load import load_parser
    from mbnet_jax.search.embedder import Embedder

__all__ = ["Embedder", "ExportedRun", "Run", "load_config", "load_parser", "train"]

_MODULES = {
    "Embedder": "mbnet_jax.search.embedder",
    "ExportedRun": "mbnet_jax.exported_run",
    "Run": "mbnet_jax.api",
    "load_config": "mbnet_jax.config",
    "load_parser": "mbnet_jax.parsing.load",
    "train": "mbnet_jax.api",
}


def __getattr__(name: str) -> Any:
    # Importing jax takes a while, and not everyone who imports the package needs it.
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
