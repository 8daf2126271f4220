"""Checksums of arrays: the same however they are split, another for any change."""

import jax
import numpy as np
import pytest

from mbnet_jax.devices import placement
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.devices.placement import place
from mbnet_jax.runs import checksums
from mbnet_jax.runs.checksums import Part, digest, own_sums, sums_of_part

RNG = np.random.default_rng(0)
TREE = {
    "blocks": {"kernel": RNG.standard_normal((3, 40, 48)).astype(np.float32)},
    "last": RNG.standard_normal((5, 64)).astype(np.float32),
    "half": RNG.standard_normal((16, 8)).astype(np.float16),
    "bytes": RNG.integers(0, 256, 100).astype(np.uint8),
    "flags": RNG.integers(0, 2, 16).astype(bool),
    "number": np.int32(-7),
    "none": np.zeros((0, 3), np.float32),
}


def checksum(tree):
    return digest(jax.tree.leaves(tree), own_sums(tree)[None])


def on_one(tree):
    return place(tree, make_mesh(jax.devices()[:1]), split=False)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small arrays are split too, and are more than one block."""
    monkeypatch.setattr(placement, "SMALLEST", 2)
    monkeypatch.setattr(checksums, "_BLOCK", 100)
    monkeypatch.setattr(checksums, "_FEW", 50)


@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize("devices", [2, 8])
def test_it_does_not_depend_on_how_arrays_are_split(devices, split):
    tree = place(TREE, make_mesh(jax.devices()[:devices]), split=split)
    split_leaves = [x for x in jax.tree.leaves(tree) if checksums.is_split(x)]
    assert bool(split_leaves) == split
    assert checksum(tree) == checksum(on_one(TREE))


def test_the_sums_are_those_of_single_elements():
    """One element after the other, in Python's whole numbers."""

    def mixed(bits, position):
        x = bits ^ (position * 0x9E3779B1 + 0x7F4A7C15) % 2**32
        x = (x ^ x >> 16) * 0x85EBCA6B % 2**32
        x = (x ^ x >> 13) * 0xC2B2AE35 % 2**32
        x ^= x >> 16
        return np.array([x, (x ^ x >> 15) * 0x2C1B3C6D % 2**32])

    for leaf in jax.tree.leaves(TREE):
        bits = np.ascontiguousarray(leaf).view(f"u{leaf.dtype.itemsize}").ravel()
        expected = sum((mixed(int(b), i) for i, b in enumerate(bits)), np.zeros(2, int))
        found = sums_of_part(Part(leaf, leaf.shape))
        np.testing.assert_array_equal(found, expected % 2**32)


def exchanged(tree, first, second):
    """The same with two elements of an array exchanged."""
    array = tree["last"].copy()
    array[first], array[second] = array[second], array[first]
    return tree | {"last": array}


def test_every_changed_bit_and_exchange_shows():
    expected = checksum(on_one(TREE))
    for name in ("half", "bytes", "number"):
        bits = np.ascontiguousarray(TREE[name]).view(np.uint8)
        for place_of in np.ndindex(bits.shape):
            changed = bits.copy()
            changed[place_of] ^= 1 << RNG.integers(8)
            changed = changed.view(TREE[name].dtype).reshape(np.shape(TREE[name]))
            assert checksum(on_one(TREE | {name: changed})) != expected
    for _ in range(20):
        first, second = (tuple(RNG.integers((5, 64))) for _ in range(2))
        if first != second:
            assert checksum(on_one(exchanged(TREE, first, second))) != expected
    # A weighted sum with odd weights would miss these: the bits differ by 2^31.
    opposite = TREE | {"last": np.tile(np.float32([1, -1]), (5, 32))}
    turned = exchanged(opposite, (0, 0), (0, 1))
    assert checksum(on_one(opposite)) != checksum(on_one(turned))
    # And two arrays of one shape.
    pair = {"a": TREE["last"], "b": TREE["last"] + 1}
    turned = {"a": pair["b"], "b": pair["a"]}
    assert checksum(on_one(pair)) != checksum(on_one(turned))


def test_a_process_with_another_copy_makes_a_difference():
    tree = on_one(TREE)
    leaves, sums = jax.tree.leaves(tree), own_sums(tree)
    same, other = np.stack([sums, sums]), np.stack([sums, sums + np.uint32(1)])
    assert digest(leaves, same) == checksum(tree) != digest(leaves, other)
