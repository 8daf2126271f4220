"""Splits and embeddings made by hand."""

import numpy as np

from mbnet_jax.data import Split
from mbnet_jax.data.protocols import Protocol

GOOD = Protocol("mine", "query", "gallery", "general")


def split(pid, camera, clothes, name="x") -> Split:
    columns = (np.array(v, np.int32) for v in (pid, camera, clothes))
    names = tuple(f"{name}/{i}.jpg" for i in range(len(pid)))
    return Split(*columns, names, np.arange(len(pid)), None)


def angles(degrees) -> dict:
    radians = np.radians(degrees)
    rows = np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)
    return {"all": rows}
