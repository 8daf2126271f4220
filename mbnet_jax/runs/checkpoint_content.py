"""What a checkpoint has: trees of arrays, the run's progress, and their checksums."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from mbnet_jax import schema
from mbnet_jax.runs.checksums import digest, own_sums

# Part of a checkpoint -> a tree of arrays.
Parts = Mapping[str, Any]
PROGRESS = "progress"
# An array's data is written in about so many pieces, none of fewer bytes than that.
_CHUNKS, _CHUNK = 64, 2**20
# The JSON beside a checkpoint's parts. Earlier ones do not have the step, and have a
# CRC-32 of each part, "checksums", in place of "sums".
CONTENT = {
    PROGRESS: {
        "best_step": schema.whole(None),
        "best_score": schema.real(None, -1.0, 1.0),
        "evaluated": schema.optional(schema.whole(None)),
    },
    "step": schema.optional(schema.whole(None)),
    "sums": {schema.ANY: schema.text(None, 32, 32)},
    "checksums": {schema.ANY: schema.whole(None, high=2**32 - 1)},
    "checksum": schema.whole(None, high=2**32 - 1),
}


def packed(step: int, parts: Parts, progress: dict) -> ocp.args.Composite:
    """What a folder writes: trees, the run's progress, and the checksum of each.

    A part can be read without the others. Of arrays that are split over the devices
    each process writes its share.
    """
    leaves = {name: jax.tree.leaves(tree) for name, tree in parts.items()}
    sums = gathered({name: own_sums(found) for name, found in leaves.items()})
    content = {
        PROGRESS: progress,
        "step": step,
        "sums": {name: digest(leaves[name], sums[name]) for name in parts},
    }
    content["checksum"] = content_checksum(content)
    return ocp.args.Composite(
        **{
            name: ocp.args.StandardSave(tree, jax.tree.map(_save_args, tree))
            for name, tree in parts.items()
        },
        progress=ocp.args.JsonSave(content),
    )


def _save_args(leaf: jax.Array) -> ocp.SaveArgs:
    """Cuts a large array's data, for processes that will read a smaller share of it."""
    if leaf.nbytes <= _CHUNK:
        return ocp.SaveArgs()
    return ocp.SaveArgs(chunk_byte_size=max(leaf.nbytes // _CHUNKS, _CHUNK))


def gathered(tree: Any) -> Any:
    """NumPy arrays of every process: [processes, ...]."""
    if jax.process_count() == 1:
        return jax.tree.map(lambda x: x[None], tree)
    return multihost_utils.process_allgather(tree)


def content_checksum(content: dict) -> int:
    """CRC-32 of the JSON beside the parts, but for that number itself."""
    rest = {key: value for key, value in content.items() if key != "checksum"}
    return zlib.crc32(json.dumps(rest, sort_keys=True).encode())
