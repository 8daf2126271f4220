"""Freed memory that stays in the process, in one of its own: it cannot be undone."""

import platform
import subprocess
import sys

import pytest

# How many MiB larger the process is after 100 MiB were filled and freed, twice, in
# another thread.
PROGRAM = """
import resource, threading
from pathlib import Path
from mbnet_jax import host_memory

def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()

if {kept}:
    host_memory.keep_freed()
before = resident()
for _ in range(2):
    thread = threading.Thread(target=lambda: b"1" * (100 * 2**20))
    thread.start()
    thread.join()
print((resident() - before) // 2**20)
"""


def held(kept: bool) -> int:
    command = [sys.executable, "-c", PROGRAM.format(kept=kept)]
    return int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator alone")
def test_freed_memory_stays_for_the_next_who_asks():
    assert held(kept=False) < 20
    assert 90 < held(kept=True) < 120
