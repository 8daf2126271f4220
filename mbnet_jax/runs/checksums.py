"""Checksums of arrays that may be split over devices and processes.

A sum over all elements, each mixed with its position: it does not depend on the order
of adding, nor on how devices share an array, and no process needs all of it. One
changed byte, exchanged elements and exchanged arrays show. It finds damage, not
forgery.
"""

import hashlib
import math
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

_BLOCK = 2**15  # elements that are mixed at a time: they stay in a core's cache
_THREADS = min(8, os.cpu_count() or 1)


def own_sums(tree: Any) -> np.ndarray:
    """Sums of each array, uint32 [arrays, 2], as far as it lies in this process."""
    parts, counts = [], []
    for leaf in jax.tree.leaves(tree):
        shards = leaf.addressable_shards[: None if is_split(leaf) else 1]
        parts += [(s.data, leaf.shape, [i.start or 0 for i in s.index]) for s in shards]
        counts.append(len(shards))
    for data, *_ in parts:
        data.copy_to_host_async()
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(lambda part: sums_of_part(*part), parts))
    ends = np.cumsum(counts, dtype=int)
    return np.array(
        [
            np.sum(found[end - count : end], axis=0, dtype=np.uint32)
            for end, count in zip(ends, counts, strict=True)
        ]
    ).reshape(-1, 2)


def is_split(leaf: Any) -> bool:
    """Whether no device has the whole array."""
    return not leaf.sharding.is_fully_replicated


def digest(leaves: list, sums: np.ndarray) -> str:
    """The checksum of arrays, 32 hexadecimal digits.

    Args:
      leaves: the arrays, or their shapes, dtypes and shardings.
      sums: `own_sums` of each process, [processes, arrays, 2].
    """
    found = hashlib.sha256()
    for number, leaf in enumerate(leaves):
        # A process that has another copy than the others makes a difference.
        rows = np.unique(sums[:, number], axis=0)
        if is_split(leaf):
            rows = sums[:, number].sum(0, dtype=np.uint32)
        found.update(f"{leaf.dtype}{leaf.shape}".encode() + rows.tobytes())
    return found.hexdigest()[:32]


def crc(leaves: list[np.ndarray]) -> int:
    """CRC-32 of the bits of arrays, which earlier versions wrote."""
    value = 0
    for leaf in leaves:
        value = zlib.crc32(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8), value)
    return value


class _Block(NamedTuple):
    """Elements [rows, columns], and the position of the first of each row."""

    bits: np.ndarray
    starts: np.ndarray


def _blocks(
    part: np.ndarray, whole: tuple[int, ...], start: list[int]
) -> Iterator[_Block]:
    """The elements of an array's part, a few at a time."""
    bits = np.ascontiguousarray(part).view(f"u{part.dtype.itemsize}")
    # From the split axis on, elements that follow each other do so in the whole too.
    axis = next((i for i, n in enumerate(part.shape) if n != whole[i]), 0)
    length, stride = math.prod(part.shape[axis:]), math.prod(whole[axis:])
    first = start[axis] * math.prod(whole[axis + 1 :]) if start else 0
    bits = bits.reshape(-1, length) if part.size else bits.reshape(0, 1)
    starts = first + stride * np.arange(len(bits), dtype=np.int64)
    rows = max(_BLOCK // max(length, 1), 1)
    for top in range(0, len(bits), rows):
        for left in range(0, length, _BLOCK):
            yield _Block(
                bits[top : top + rows, left : left + _BLOCK],
                starts[top : top + rows] + left,
            )


def sums_of_part(part: Any, whole: tuple[int, ...], start: list[int]) -> np.ndarray:
    """Two sums modulo 2^32 of elements mixed with their positions, uint32 [2].

    For a position, MurmurHash3's finaliser (Appleby) maps elements one to one, so a
    single changed element always shows; what else is changed remains unseen with
    probability 2^-64.

    Args:
      part: of an array, of elements of at most 32 bits; along one axis at most it is
        shorter than the whole.
      whole: shape of the array.
      start: indices in it of the part's first element.
    """
    spread = np.uint32(0x9E3779B1)
    totals = [0, 0]
    along = np.arange(_BLOCK, dtype=np.uint32) * spread + np.uint32(0x7F4A7C15)
    buffer = np.empty(_BLOCK, np.uint32)
    for bits, starts in _blocks(np.asarray(part), whole, start):
        x = along[None, : bits.shape[1]] + starts.astype(np.uint32)[:, None] * spread
        x ^= bits
        shifted = buffer[: x.size].reshape(x.shape)
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            np.right_shift(x, np.uint32(shift), out=shifted)
            x ^= shifted
            x *= np.uint32(factor)
        np.right_shift(x, np.uint32(16), out=shifted)
        x ^= shifted
        totals[0] += int(x.sum(dtype=np.uint32))
        np.right_shift(x, np.uint32(15), out=shifted)
        x ^= shifted
        x *= np.uint32(0x2C1B3C6D)
        totals[1] += int(x.sum(dtype=np.uint32))
    return np.array([total % 2**32 for total in totals], np.uint32)
