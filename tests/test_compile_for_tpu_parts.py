"""The bound, the checks and the table of `benchmarks.compile_for_tpu`."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks.compile_for_tpu import hlo
from benchmarks.compile_for_tpu.cache import Result, needed
from benchmarks.compile_for_tpu.checks import (
    float32_products,
    large_arrays,
    unexpected,
)
from benchmarks.compile_for_tpu.chips import CHIPS, HOP, chip_of, hops
from benchmarks.compile_for_tpu.collectives import Collective, seconds
from benchmarks.compile_for_tpu.largest import largest
from benchmarks.compile_for_tpu.loops import (
    Products,
    repeated_bytes,
    repeated_flops,
)
from benchmarks.compile_for_tpu.loops import products as counted
from benchmarks.compile_for_tpu.roofline import bound
from benchmarks.compile_for_tpu.table import HEADER, line
from benchmarks.compile_for_tpu.topology import libtpu_version
from benchmarks.compile_for_tpu.where import where
from benchmarks.devices import counted_flops


def test_the_time_of_a_ring():
    v5e = CHIPS["v5e"]
    assert v5e.ring == 100e9
    gather = Collective("all-gather", 8 * 10**9, 8, 1)
    assert seconds(gather, v5e, 4) == pytest.approx(7e9 / 100e9 + 4 * HOP)
    reduce = gather._replace(kind="all-reduce", times=3)
    assert seconds(reduce, v5e, 4) == pytest.approx(6 * seconds(gather, v5e, 4))
    permute = gather._replace(kind="collective-permute")
    assert seconds(permute, v5e, 0) == pytest.approx(0.08)
    assert seconds(gather._replace(group=1), v5e, 4) == 0


def test_the_way_through_a_slice():
    # An axis of 16 is a ring on v5e and v6e, one of 4 on v5p; shorter ones are lines.
    assert [hops(name) for name in ("v5e:1x1", "v5e:2x4", "v5e:16x16")] == [0, 4, 16]
    assert hops("v5p:4x4x8") == 2 + 2 + 4
    with pytest.raises(ValueError, match="v9"):
        chip_of("v9:2x2")


# A megabyte is read, reduced over eight chips, gathered, and written.
STEP = """
HloModule m

ENTRY %main () -> f32[] {
  %a = f32[262144]{0} parameter(0), metadata={op_name="batch['x']"}
  %r = f32[262144]{0:S(1)} all-reduce(%a), channel_id=1, replica_groups={{0,1,2,3,4,5,6,7}}
  %g = f32[2097152]{0:S(1)} all-gather(%r), channel_id=2, replica_groups={{0,1,2,3,4,5,6,7}}
  ROOT %n = f32[2097152]{0} negate(%g), metadata={op_name="jit(f)/jvp(N)/head/neg"}
}
"""  # noqa: E501


def fitting(**changes) -> Result:
    return Result(True, 0.0, STEP, 197e9, 2e9, 3e9, 60.0)._replace(**changes)


def test_the_bound_of_a_program():
    found = bound(fitting(), "v5e:2x4", 8)
    assert found.hbm == 9 * 2**20
    assert found.compute == pytest.approx(1e-3)
    assert found.memory == pytest.approx(9 * 2**20 / 819e9)
    share = 7 / 8 * 2**20 / 100e9
    assert found.links == pytest.approx(2 * (share + 4e-6) + 8 * share + 4e-6)
    # On 256 chips the gathered array is 32 times as large, the reduced one is not.
    share = 255 / 256 * 2**20 / 100e9
    assert found.links_256 == pytest.approx(2 * share + 256 * share + 3 * 16e-6)
    assert found.total == pytest.approx(found.compute + found.links)
    assert found.efficiency == pytest.approx(1e-3 / (1e-3 + found.links_256))
    assert found.by == "compute"
    assert bound(fitting(flops=0.0), "v5e:2x4", 8).by == "links"


def test_every_line_of_the_table_has_its_columns():
    found = bound(fitting(), "v5e:2x4", 8)
    lines = [
        line("step", "v5e:2x4", 8, fitting(), found),
        line("retrieval: merge", "v5e:2x4", None, fitting(), found),
        line("step", "v5e:2x4", 512, fitting(fits=False, needs=2.0**35), None),
        line("step", "v5p:2x2x2", 8, fitting(text=""), None),
    ]
    assert {text.count("|") for text in lines} == {HEADER.count("|")}
    assert "1 all-reduce 1.0 MiB, 1 all-gather 8.0 MiB" in lines[0]
    assert "does not fit: needs 32.00 GiB" in lines[2]
    assert "unreadable" in lines[3] and "does not fit" not in lines[3]


def test_where_the_bytes_go():
    lines = [*where(STEP, depth=1)]
    assert "| **total** | 9.0 | 27.0 | 0 | 3 |" in lines
    assert "| forward head | 8.0 | 16.0 | 0 | 1 |" in lines
    assert "| all-reduce | 1.0 | 2.0 | 0 | 1 |" in lines
    assert "| argument batch: all-gather | 0.0 | 9.0 | 0 | 1 |" in lines


@pytest.mark.parametrize(
    ("stride", "padding", "dilation"), [(1, "SAME", 1), (2, "SAME", 1), (2, "VALID", 2)]
)
def test_flops_of_convolutions_are_the_compilers(stride, padding, dilation):
    def passes(image, kernel, above):
        def convolution(image, kernel):
            return jax.lax.conv_general_dilated(
                image, kernel, (stride,) * 2, padding, None, (dilation,) * 2
            )

        below, backward = jax.vjp(convolution, image, kernel)
        return below, backward(above[:, :, : below.shape[2], : below.shape[3]])

    shapes = ((2, 3, 9, 8), (5, 3, 3, 3), (2, 5, 9, 8))
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    own = counted(jax.jit(passes).trace(*arguments).jaxpr)
    found = counted_flops(passes, *arguments)
    assert own.once == own.all == pytest.approx(found, 0.001)


def test_products_of_loops_count_as_often_as_they_run():
    def twice(x, w):
        return jax.lax.scan(lambda x, _: (x @ w, None), x, length=2)[0] @ w

    def function(x, w):
        return jax.lax.scan(lambda x, w: (twice(x, w), None), x, w)[0]

    x, w = jnp.ones((2, 4)), jnp.ones((5, 4, 4))
    jaxpr = jax.jit(function).trace(x, w).jaxpr
    one = 2 * 2 * 4 * 4
    assert counted(jaxpr) == Products(2 * one, 5 * 3 * one)
    assert repeated_flops(jaxpr, 2) == 13 * one / 2


def test_of_branches_that_with_the_most_products_counts():
    def function(x):
        def two(x):
            return x @ x @ x

        return jax.lax.cond(x[0, 0] > 0, two, lambda x: x @ x, x)

    one = 2 * 4**3
    found = counted(jax.jit(function).trace(jnp.ones((4, 4))).jaxpr)
    assert found == Products(2 * one, 2 * one)


def test_bytes_that_loops_move_again():
    assert repeated_bytes(STEP) == repeated_bytes("") == 0
    loop = """
HloModule m

%body (p: (f32[256])) -> (f32[256]) {
  %p = (f32[256]{0}) parameter(0)
  %g = f32[256]{0} get-tuple-element(%p), index=0
  %n = f32[256]{0} negate(%g)
  ROOT %t = (f32[256]{0}) tuple(%n)
}

%always (q: (f32[256])) -> pred[] {
  %q = (f32[256]{0}) parameter(0)
  ROOT %true = pred[] constant(true)
}

ENTRY %main () -> f32[] {
  %a = (f32[256]{0}) parameter(0)
  ROOT %w = (f32[256]{0}) while(%a), condition=%always, body=%body, backend_config={"known_trip_count":{"n":"7"}}
}
"""  # noqa: E501
    assert repeated_bytes(loop) == 6 * 2048


def products(function, *arguments) -> list[str]:
    return [*float32_products(jax.jit(function).trace(*arguments).jaxpr)]


def test_float32_products_are_found():
    x_32, x_16 = jnp.ones((4, 4)), jnp.ones((4, 4), jnp.bfloat16)

    def inside(x):  # of a loop, of a gradient, under a name
        with jax.named_scope("layer"):
            step = jax.grad(lambda x: jnp.sum(x @ x))
            return jax.lax.fori_loop(0, 3, lambda _, x: step(x), x)

    assert products(inside, x_16) == []
    assert products(lambda x: x @ x_16, x_16) == []
    found = products(inside, x_32)
    assert len(found) == 3 and {*found} == {"layer"}
    assert unexpected(found) == ["layer"]
    image, kernel = jnp.ones((1, 1, 8, 8)), jnp.ones((1, 1, 3, 3))
    convolution = products(lambda x: jax.lax.conv(x, kernel, (1, 1), "SAME"), image)
    assert convolution == ["unknown"] == unexpected(convolution)


def test_products_that_may_be_float32_are_not_reported():
    allowed = ["global_head/classifier", "losses/identity.py batch_hard_triplet"]
    assert unexpected([*allowed, "global_backbone/conv1"]) == ["global_backbone/conv1"]


def test_a_whole_matrix_of_similarities_is_found():
    def lowered(function, gallery):
        query = jax.ShapeDtypeStruct((64, 8), jnp.float32)
        gallery = jax.ShapeDtypeStruct((gallery, 8), jnp.float32)
        return hlo.parse(jax.jit(function).lower(query, gallery).compile().as_text())

    def whole(query, gallery):
        return jax.lax.top_k(query @ gallery.T, 4)

    def blocks(query, gallery):
        return jax.lax.map(lambda rows: whole(query, rows), gallery.reshape(8, -1, 8))

    assert large_arrays(lowered(whole, 4096), 64 * 4096)
    assert not large_arrays(lowered(blocks, 4096), 64 * 4096)


@pytest.mark.parametrize("limit", [0, 4, 5, 31, 100, 128, 1000])
def test_the_largest_batch_is_found_to_an_eighth(limit):
    tried = []

    def fits(batch):
        tried.append(batch)
        return batch <= limit

    found = largest(fits, 4, most=512)
    assert found <= limit
    if limit < 4:
        assert found == 0
    else:
        assert found == 512 or found + max(4, found // 8) >= limit
    assert len(tried) == len({*tried}) and all(b % 4 == 0 and b <= 512 for b in tried)


def test_memory_that_does_not_suffice_is_read_from_the_message():
    full = (
        "RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 31.50G of "
        "15.75G hbm. Exceeded hbm capacity by 15.75G."
    )
    assert needed(full) == 31.5 * 2**30
    other = (
        "RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: Ran out of memory on HBM, the "
        "total memory required for HLO temporaries (128.00G) exceeds available HBM"
    )
    assert needed(other) == 128 * 2**30
    assert needed("RESOURCE_EXHAUSTED: something") == 0
    assert needed("INVALID_ARGUMENT: Used 31.50G of 15.75G hbm") is None


def test_without_libtpu_the_message_says_what_to_install(monkeypatch):
    def missing(name):
        from importlib import metadata

        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    with pytest.raises(ValueError, match=r"pip install -r requirements-tpu.txt"):
        libtpu_version()
