"""Compiled programs on disk, so that a second start need not compile again."""

import os
from pathlib import Path

import jax

from mbnet_jax.files import cache_folder


def enable() -> Path | None:
    """Lets jax keep compiled programs in `~/.cache/mbnet_jax/xla`; returns the folder.

    What a program was compiled for (processor, devices, versions, flags) is in jax's
    names of the files, so machines may share a home. Where jax's own settings name
    another folder (the environment variable JAX_COMPILATION_CACHE_DIR) or want none
    (JAX_ENABLE_COMPILATION_CACHE=false), and where nothing can be written, nothing
    changes and the result is None.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return None
    if not jax.config.jax_enable_compilation_cache:
        return None
    try:
        folder = cache_folder("xla")
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # the latter where there is no home
        return None
    if not os.access(folder, os.W_OK | os.X_OK):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    return folder
