"""A number that tells whether a state was read back as it was written.

Orbax notices files that are missing, cut off or no longer in its format. A byte that
turned in an array's data it does not: the array just has another value.
"""

import json
import zlib
from typing import Any

import jax
import numpy as np


def checksum(state: Any, progress: dict) -> int:
    """CRC-32 of the bits of a tree of replicated arrays and of a JSON dict."""
    leaves = jax.tree.leaves(state)
    for leaf in leaves:
        leaf.copy_to_host_async()
    value = zlib.crc32(json.dumps(progress, sort_keys=True).encode())
    for leaf in leaves:
        value = zlib.crc32(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8), value)
    return value
