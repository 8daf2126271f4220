"""Keeps the memory that one step frees for the next one."""

import ctypes
import platform

# glibc's malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def keep_freed() -> None:
    """Has glibc keep what is freed in this process; to be called before jax is used.

    On a CPU XLA allocates the temporaries of a step anew in every step, as one block
    of up to gigabytes. As a rule glibc gets such a block from the kernel and hands it
    back after the step, and the kernel clears its pages again, one by one: a third of
    a step's time was measured to go into that (benchmarks/README.md). The price is that
    the process stays as large as it once was, and that blocks which no longer fit
    where they were may make it larger by a block or two. On an accelerator the large
    blocks are in its own memory, and nothing changes. Nor does it with another C
    library than glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_MMAP_MAX, 0)  # no block straight from the kernel
    mallopt(_M_TRIM_THRESHOLD, -1)  # and none back to it
    # XLA's threads would have heaps of their own, which hold no large block.
    mallopt(_M_ARENA_MAX, 1)
