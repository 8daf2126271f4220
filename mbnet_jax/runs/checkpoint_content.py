"""What a checkpoint has: trees of arrays, the run's progress, and their checksums."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from mbnet_jax import schema
from mbnet_jax.runs.checksums import crc, digest, own_sums

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
_ALTERED = "is damaged (its checksum is not that of what was written)"


def packed(step: int, parts: Parts, progress: dict) -> ocp.args.Composite:
    """What a folder writes: trees, the run's progress, and the checksum of each.

    A part can be read without the others. Each process writes its share of arrays that
    are split over the devices.
    """
    leaves = {name: jax.tree.leaves(tree) for name, tree in parts.items()}
    sums = _gathered({name: own_sums(found) for name, found in leaves.items()})
    content = {
        PROGRESS: progress,
        "step": step,
        "sums": {name: digest(leaves[name], sums[name]) for name in parts},
    }
    content["checksum"] = _content_checksum(content)
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


def problem_of(content: dict, parts: Parts, step: int) -> str | None:
    """What is wrong with a checkpoint that was read, without sums of the parts.

    Args:
      content: the JSON beside the parts, as `CONTENT` describes it.
      parts: those that were read.
      step: that the checkpoint is named after.
    """
    sound = content["checksum"] == _content_checksum(content)
    if "sums" not in content:
        sound &= all(
            content["checksums"][name] == crc(jax.tree.leaves(tree))
            for name, tree in parts.items()
        )
    if not sound:
        return _ALTERED
    if content.get("step", step) != step:
        return f"is damaged (its state is of step {content['step']})"
    return None


def problem_of_all(
    problem: str | None, content: dict, parts: Parts, abstract: Parts
) -> str | None:
    """What is wrong by what all processes found, and by the sums of the parts.

    Args:
      problem: what this process found; if not None, the rest may be incomplete.
      content, parts: as in `problem_of`.
      abstract: the shapes of the parts that are asked for.
    """
    verified = "sums" in content and problem is None
    sums = {
        name: own_sums(parts[name])
        if verified
        else np.zeros((len(jax.tree.leaves(tree)), 2), np.uint32)
        for name, tree in abstract.items()
    }
    failed, sums = _gathered((np.array(problem is not None), sums))
    if failed.any():
        return problem or "cannot be read by another process"
    if verified and any(
        content["sums"].get(name) != digest(jax.tree.leaves(tree), sums[name])
        for name, tree in parts.items()
    ):
        return _ALTERED
    return None


def _gathered(tree: Any) -> Any:
    """NumPy arrays of every process: [processes, ...]."""
    if jax.process_count() == 1:
        return jax.tree.map(lambda x: x[None], tree)
    return multihost_utils.process_allgather(tree)


def _content_checksum(content: dict) -> int:
    """CRC-32 of the JSON beside the parts, but for that number itself."""
    rest = {key: value for key, value in content.items() if key != "checksum"}
    return zlib.crc32(json.dumps(rest, sort_keys=True).encode())
