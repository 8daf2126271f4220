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
_FEW = 2**12  # elements; smaller arrays are mixed together
_SPREAD, _FIRST = np.uint32(0x9E3779B1), np.uint32(0x7F4A7C15)
_THREADS = min(8, os.cpu_count() or 1)


class Part(NamedTuple):
    """What a device has of an array.

    data: of elements of at most 32 bits; along one axis at most it is shorter than
      the whole.
    whole: shape of the array.
    start: indices in it of the part's first element; (): zeros.
    """

    data: Any
    whole: tuple[int, ...]
    start: tuple[int, ...] = ()


def own_sums(tree: Any) -> np.ndarray:
    """Sums of each array, uint32 [arrays, 2], as far as it lies in this process."""
    parts, counts = [], []
    for leaf in jax.tree.leaves(tree):
        found = [Part(leaf, leaf.shape)]
        if is_split(leaf):
            found = [
                Part(s.data, leaf.shape, tuple(i.start or 0 for i in s.index))
                for s in leaf.addressable_shards
            ]
        parts += found
        counts.append(len(found))
    for part in parts:
        part.data.copy_to_host_async()
    few = [number for number, part in enumerate(parts) if part.data.size < _FEW]
    many = sorted({*range(len(parts))} - {*few})
    sums = np.zeros((len(parts), 2), np.uint32)
    with ThreadPoolExecutor(_THREADS) as pool:
        large = pool.map(sums_of_part, [parts[number] for number in many])
        sums[few] = _sums_of_few([parts[number] for number in few])
        sums[many] = [*large] or sums[many]
    ends = np.cumsum(counts, dtype=int)
    return np.array(
        [
            sums[end - count : end].sum(0, dtype=np.uint32)
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


def _bits(part: Part) -> np.ndarray:
    data = np.ascontiguousarray(part.data)
    return data.view(f"u{data.dtype.itemsize}")


def _positions(part: Part) -> tuple[np.ndarray, int]:
    """The positions of a part's elements: of the first of each row, and a row's length.

    From the split axis on, elements that follow each other do so in the whole too.
    """
    shape, whole = part.data.shape, part.whole
    axis = next((i for i, n in enumerate(shape) if n != whole[i]), 0)
    length, stride = math.prod(shape[axis:]), math.prod(whole[axis:])
    first = part.start[axis] * math.prod(whole[axis + 1 :]) if part.start else 0
    rows = math.prod(shape[:axis]) if length else 0
    return first + stride * np.arange(rows, dtype=np.int64), length


def _at(positions: np.ndarray) -> np.ndarray:
    """What the bits of an element are mixed with, by its position."""
    return positions.astype(np.uint32) * _SPREAD + _FIRST


def _mixed(x: np.ndarray, buffer: np.ndarray) -> Iterator[np.ndarray]:
    """Yields two mixtures of each element of `x`, uint32, which are overwritten.

    The first is MurmurHash3's finaliser (Appleby), which is one to one.
    """
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= np.right_shift(x, np.uint32(shift), out=buffer)
        x *= np.uint32(factor)
    x ^= np.right_shift(x, np.uint32(16), out=buffer)
    yield x
    x ^= np.right_shift(x, np.uint32(15), out=buffer)
    x *= np.uint32(0x2C1B3C6D)
    yield x


def sums_of_part(part: Part) -> np.ndarray:
    """Two sums modulo 2^32 of elements mixed with their positions, uint32 [2].

    A single changed element always shows; what else is changed remains unseen with
    probability 2^-64.
    """
    starts, length = _positions(part)
    bits = _bits(part).reshape(len(starts), length)
    along = np.arange(_BLOCK, dtype=np.uint32) * _SPREAD
    buffer = np.empty(_BLOCK, np.uint32)
    rows, totals = max(_BLOCK // max(length, 1), 1), [0, 0]
    for top in range(0, len(bits), rows):
        for left in range(0, length, _BLOCK):
            block = bits[top : top + rows, left : left + _BLOCK]
            x = (
                along[None, : block.shape[1]]
                + _at(starts[top : top + rows] + left)[:, None]
            )
            x ^= block
            free = buffer[: x.size].reshape(x.shape)
            for number, mixture in enumerate(_mixed(x, free)):
                totals[number] += int(mixture.sum(dtype=np.uint32))
    return np.array([total % 2**32 for total in totals], np.uint32)


def _sums_of_few(parts: list[Part]) -> np.ndarray:
    """`sums_of_part` of each of many small parts at once, uint32 [parts, 2]."""
    sums = np.zeros((len(parts), 2), np.uint32)
    used = [number for number, part in enumerate(parts) if part.data.size]
    if not used:
        return sums
    counted, found, positions = np.arange(_FEW), [], []
    for part in (parts[number] for number in used):
        found.append(_bits(part).reshape(-1))
        if part.start:
            starts, length = _positions(part)
            positions.append((starts[:, None] + np.arange(length)).reshape(-1))
        else:
            positions.append(counted[: len(found[-1])])
    firsts = np.cumsum([0, *map(len, found[:-1])])
    x = _at(np.concatenate(positions)) ^ np.concatenate(found, dtype=np.uint32)
    for number, mixture in enumerate(_mixed(x, np.empty_like(x))):
        sums[used, number] = np.add.reduceat(mixture, firsts, dtype=np.uint32)
    return sums
