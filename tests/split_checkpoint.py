"""One of two processes that save and read a split checkpoint, and count what they read.

python tests/split_checkpoint.py FOLDER --coordinator=... --num-processes=2
    --process-id=...
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np

from mbnet_jax.devices.cluster import joined
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.devices.placement import place
from mbnet_jax.runs.checkpoints import NO_BEST, Checkpoints

SIDE = 2048


def bytes_read() -> int:
    """Bytes that this process has asked the system for."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


def main() -> None:
    """Saves, then reads split and whole, and compares with what was saved."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--coordinator")
    parser.add_argument("--num-processes", type=int)
    parser.add_argument("--process-id", type=int)
    given = parser.parse_args()
    with joined(given.coordinator, given.num_processes, given.process_id):
        mesh = make_mesh()
        rows = np.random.default_rng(0).standard_normal((SIDE, SIDE), np.float32)
        weights = {"params": {"kernel": rows}}
        saved = {"weights": place(weights, mesh, split=True)}
        with Checkpoints(given.folder) as checkpoints:
            checkpoints.save(1, saved, NO_BEST)
        found = {}
        for split in (True, False):
            with Checkpoints(given.folder, create=False) as checkpoints:
                before = bytes_read()
                parts = checkpoints.resume(
                    {"weights": jax.eval_shape(lambda: weights)}, mesh, split=split
                ).parts
                found[split] = bytes_read() - before
            for shard in parts["weights"]["params"]["kernel"].addressable_shards:
                np.testing.assert_array_equal(shard.data, rows[shard.index])
        path = given.folder / f"read_by_{given.process_id}.json"
        path.write_text(json.dumps([*found.values()]))


if __name__ == "__main__":
    main()
