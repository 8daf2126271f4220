"""Freed memory is kept on a CPU, unless the user decides otherwise."""

import ctypes
import importlib.metadata
import os
import resource
import subprocess
import sys

import jax
import pytest

from mbnet_jax.devices import memory

PROGRAM = """
import resource
import jax, jax.numpy as jnp
from mbnet_jax.devices import memory

kept = memory.keep_freed()

def step(x):  # the 36 MiB between the two products are no result
    return ((x[:, None] * x) @ x).sum()

program = jax.jit(step)
x = jnp.ones(3072)
faults = []
for _ in range(60):  # during the first, the heap grows
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    program(x).block_until_ready()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(kept, sorted(faults)[30])
"""


def run(**more: str) -> tuple[str, int]:
    """Whether memory is kept, and the page faults of a step."""
    ours = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    done = subprocess.run(
        command, env=environment | more, capture_output=True, text=True, check=True
    )
    kept, faults = done.stdout.split()
    return kept, int(faults)


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="needs glibc"
)
def test_a_step_reuses_the_memory_of_the_one_before():
    pages = 36 * 2**20 // resource.getpagesize()
    kept, faults = run()
    assert kept == "True" and faults < pages / 20
    # Settings of the user's are left alone; these keep nothing.
    kept, faults = run(MALLOC_TRIM_THRESHOLD_="131072")
    assert kept == "False" and faults > pages / 2


def test_an_accelerator_changes_nothing(monkeypatch):
    before = jax.config.jax_platforms
    for name in [n for n in os.environ if n.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(ctypes, "CDLL", refused)
    try:
        jax.config.update("jax_platforms", "cuda,cpu")
        assert not memory.keep_freed()
        jax.config.update("jax_platforms", "")
        # As jax finds a plugin that is installed.
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [group])
        assert not memory.keep_freed()
    finally:
        jax.config.update("jax_platforms", before)


def refused(*_):
    raise AssertionError("the allocator is looked for")
