"""The bound of compiled retrieval programs, of programs and labels made by hand."""

import numpy as np
import pytest

from benchmarks.compile_for_tpu import hlo
from benchmarks.compile_for_tpu.chips import CHIPS
from benchmarks.compile_for_tpu.least import least_time
from benchmarks.retrieval_on_tpu import passes_of
from mbnet_jax.retrieval.labels import Lists

# A product in VMEM ("S(1)") whose epilogue compares; then a loop that adds.
TEXT = """HloModule jit_example

%fused (a: f32[512,256], b: f32[1024,256]) -> pred[512,1024] {
  %a = f32[512,256]{1,0:S(1)} parameter(0)
  %b = f32[1024,256]{1,0:S(1)} parameter(1)
  %product = f32[512,1024]{1,0} convolution(%a, %b), dim_labels=bf_oi->bf, PRECISION
  %zero = f32[512,1024]{1,0} constant(0)
  ROOT %over = pred[512,1024]{1,0:S(1)} compare(%product, %zero), direction=GT
}

%body (x: f32[8,4096]) -> f32[8,4096] {
  %x = f32[8,4096]{1,0} parameter(0)
  ROOT %sum = f32[8,4096]{1,0} add(%x, %x)
}

%condition (y: f32[8,4096]) -> pred[] {
  %y = f32[8,4096]{1,0} parameter(0)
  ROOT %true = pred[]{:S(6)} constant(true)
}

ENTRY %main (p: f32[512,256], q: f32[1024,256], r: f32[8,4096]) -> f32[8,4096] {
  %p = f32[512,256]{1,0:S(1)} parameter(0)
  %q = f32[1024,256]{1,0:S(1)} parameter(1)
  %r = f32[8,4096]{1,0} parameter(2)
  %fusion = pred[512,1024]{1,0:S(1)} fusion(%p, %q), kind=kOutput, calls=%fused
  ROOT %loop = f32[8,4096]{1,0} while(%r), condition=%condition, body=%body
}
"""


@pytest.mark.parametrize(
    ("precision", "passes"),
    [("operand_precision={highest,highest}", 6), ("metadata={}", 1)],
)
def test_the_least_time_of_a_program(precision, passes):
    chip = CHIPS["v5e"]
    module = hlo.parse(TEXT.replace("PRECISION", precision))
    found = least_time(module, chip, [2.5])
    products = passes * 2 * 512 * 256 * 1024 / chip.flops
    # 1,024 lanes and four operations in each cycle; 128 * 128 cells in four units.
    cycle = 4 * 128 * 128 * 2 / chip.flops
    compared, added = (n / 4096 * cycle for n in (512 * 1024, 2.5 * 8 * 4096))
    assert found.products == pytest.approx(products)
    assert found.vectors == pytest.approx(compared + added)
    assert found.traffic == pytest.approx(2.5 * 3 * 4 * 8 * 4096 / chip.hbm_bandwidth)
    own = max(products, compared) + added
    assert found.bound == pytest.approx(max(own, found.traffic))


def test_passes_follow_from_the_labels():
    """Two blocks of queries; in the first, 9 matches need two passes."""
    matches = np.full((3, 16), -1)
    matches[0, :9] = range(9)
    matches[1, 0] = 5
    junk = np.full((3, 8), -1)
    junk[0, :2] = 10, 31
    counts = [(rows >= 0).sum(axis=1) for rows in (matches, junk)]
    lists = (Lists(rows, n) for rows, n in zip((matches, junk), counts, strict=True))
    first, second = passes_of(*lists, rows=1, block=16)
    # Of the first query, ten items are in the first block of the gallery, one in the
    # second.
    assert first == (2, 1.5, 2, 2)
    assert second == (1, 0.5, 1, 0)
