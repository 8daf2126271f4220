"""Keeps freed memory for the next training step, where the device is a CPU."""

import ctypes
import importlib.metadata
import importlib.util
import os
import sys

import jax

# For `mallopt`, by their numbers in glibc's malloc.h. A step allocates its memory anew;
# if it came from the kernel each time, its pages would be cleared each time.
_SETTINGS = {
    -8: 1,  # M_ARENA_MAX: other arenas return blocks, whatever the threshold
    -4: 0,  # M_MMAP_MAX: no mappings of their own, which are returned when freed
    -1: -1,  # M_TRIM_THRESHOLD: never returns the end of the heap
}
# The user's own settings of glibc's allocator.
_VARIABLES = ("MALLOC_", "GLIBC_TUNABLES")


def keep_freed() -> bool:
    """Lets glibc keep the memory that the process frees.

    To be called before jax initialises a device, since threads that have allocated keep
    their arenas. Has no effect on another allocator in glibc's place.

    Returns:
      Whether anything was changed. Nothing is without glibc, where jax may find an
      accelerator, or where the environment sets up the allocator.
    """
    if sys.platform != "linux" or not _only_cpu():
        return False
    if any(name.startswith(_VARIABLES) for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    return all([mallopt(name, value) for name, value in _SETTINGS.items()])


def _only_cpu() -> bool:
    """Whether jax will find no accelerator; initialises no device."""
    if jax.config.jax_platforms:
        return jax.config.jax_platforms == "cpu"
    plugins = importlib.metadata.entry_points(group="jax_plugins")
    found = map(importlib.util.find_spec, ("jax_plugins", "libtpu"))
    return not plugins and not any(found)
