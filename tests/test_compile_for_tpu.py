"""Compiles a tiny network's programs for a TPU, which libtpu can without one.

Where libtpu is not installed, this is skipped: it is in requirements-tpu.txt.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from tiny import (
    ONE_BLOCK,
    know_one_block,
    set_backbones,
    tiny_config,
    use_transformers,
)

from benchmarks.compile_for_tpu import hlo, programs
from benchmarks.compile_for_tpu.cache import compiled
from benchmarks.compile_for_tpu.checks import (
    float32_products,
    large_arrays,
    unexpected,
)
from benchmarks.compile_for_tpu.loops import products
from benchmarks.compile_for_tpu.roofline import bound
from benchmarks.compile_for_tpu.topology import mesh_of
from mbnet_jax.devices.mesh import replicated

pytest.importorskip("libtpu", reason="needs libtpu, of requirements-tpu.txt")

SLICE = "v5e:2x2"
GALLERY = 100_000  # images


@pytest.fixture(scope="module")
def mesh():
    return mesh_of(SLICE)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def config():
    with pytest.MonkeyPatch.context() as patch:
        know_one_block(patch)
        c = tiny_config(Path("unused"))
        set_backbones(c, name=ONE_BLOCK)
        c.model.dtype = "bfloat16"
        yield c


@pytest.mark.parametrize("name", ["step", "embedding"])
def test_a_network_compiles_in_bfloat16(name, config, mesh, cache):
    traced = getattr(programs, name)(config, mesh, 2)
    places = [*float32_products(traced.jaxpr)]
    assert places, "the logits' products are not found"
    assert not unexpected(places)
    result = compiled(traced, SLICE, cache)
    assert result.fits
    least = bound(result, SLICE, mesh.size)
    assert 0 < least.hbm <= result.accessed
    assert min(least.compute, least.memory, least.links) > 0
    if name == "embedding":  # images stay on their chip, mirrored ones too
        assert {one.kind for one in least.collectives} == {"all-gather"}


def test_a_transformer_compiles_in_bfloat16_and_its_blocks_count(config, mesh, cache):
    c = config.copy_and_resolve_references()
    use_transformers(c)
    c.model.branches = ("global",)
    own = c.model.backbones["global"]
    with c.unlocked():
        own.remat, own.remat_keeps = True, "products"
    traced = programs.step(c, mesh, 2)
    assert not unexpected(float32_products(traced.jaxpr))
    result = compiled(traced, SLICE, cache)
    assert result.fits
    # One chip's blocks beyond the first, once forward and twice backward.
    once, everything = products(traced.jaxpr)
    tokens, width, hidden, images = 1 + 8 * 4, 16, 24, 2
    block = tokens * (4 * width + 3 * hidden) * width + 2 * tokens**2 * width
    again = 2 * images * block
    assert 3 * again <= (everything - once) / mesh.size < 4 * again
    assert result.flops > 3 * again
    # The gradients of both blocks are reduced, each in a run of the loop.
    reduced = bound(result, SLICE, mesh.size).collectives
    assert 2 in {one.times for one in reduced if one.kind == "all-reduce"}


def test_retrieval_compiles_without_an_array_of_all_similarities(config, mesh, cache):
    traced = programs.retrieval(config, mesh, gallery=GALLERY)
    share = programs.QUERIES * GALLERY / mesh.size
    for name, each in traced.items():
        result = compiled(each, SLICE, cache)
        assert result.fits, name
        assert not large_arrays(hlo.parse(result.text), share), name


def test_what_does_not_fit_is_a_result_and_is_kept(mesh, cache, monkeypatch):
    large = jax.ShapeDtypeStruct(
        (1 << 34,), jnp.float32, sharding=replicated(mesh_of("v5e:1x1"))
    )
    traced = jax.jit(jnp.sin).trace(large)
    first = compiled(traced, "v5e:1x1", cache)
    assert not first.fits and first.needs > 16e9
    monkeypatch.setattr(jax.stages.Lowered, "compile", None)
    assert compiled(traced, "v5e:1x1", cache) == first


def test_a_slice_that_does_not_exist_is_named(mesh):
    with pytest.raises(ValueError, match=r"'v5e:3x9'.*for example"):
        mesh_of("v5e:3x9")
