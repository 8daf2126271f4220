"""The on-disk cache of compiled programs, which makes a second start fast."""

import os
from pathlib import Path

import jax

from mbnet_jax.files import cache_folder


def enable() -> Path | None:
    """Lets jax cache compiled programs in `~/.cache/mbnet_jax/xla`.

    jax's file names encode what a program was compiled for (processor, devices,
    versions, flags), so several machines can share a home directory.

    Returns:
      The folder; None if nothing was changed, because jax's own settings name another
      folder (JAX_COMPILATION_CACHE_DIR) or disable caching
      (JAX_ENABLE_COMPILATION_CACHE=false), or because the folder cannot be written.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return None
    if not jax.config.jax_enable_compilation_cache:
        return None
    try:
        folder = cache_folder("xla")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # also if there is no home directory
        return None
    if not os.access(folder, os.W_OK | os.X_OK):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    return folder
