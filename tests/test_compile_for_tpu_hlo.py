"""What `benchmarks.compile_for_tpu` reads from HLO text written by hand."""

import textwrap

import pytest

from benchmarks.compile_for_tpu import hlo
from benchmarks.compile_for_tpu.collectives import Collective, collectives, counted
from benchmarks.compile_for_tpu.traffic import module_of, moved, summed


def program(entry: str, others: str = "") -> hlo.Module:
    indented = textwrap.indent(textwrap.dedent(entry).strip(), "  ")
    others = textwrap.dedent(others)
    for name, groups in GROUPS.items():
        indented, others = (x.replace(name, groups) for x in (indented, others))
    return hlo.parse(
        f"HloModule m\n\n{others}\nENTRY %main () -> f32[] {{\n{indented}\n}}\n"
    )


# What names the chips of a group, in three ways.
GROUPS = {
    "EIGHT": "replica_groups={{0,1,2,3,4,5,6,7}}, dimensions={0}",
    "TWICE_FOUR": "replica_groups=[2,4]<=[8], to_apply=%add",
    "NAMED": "replica_groups=mesh['x'=2,'y'=4] {'y'}, to_apply=%add",
}


def hbm_and_all(module: hlo.Module) -> dict[str, tuple[int, int]]:
    return {row.instruction.name: (row.hbm, row.all) for row in moved(module)}


@pytest.mark.parametrize(
    ("shape", "size", "padded"),
    [
        ("f32[3,5]", 60, 60),  # no tiles: a CPU's
        ("f32[3,5]{1,0:T(8,128)}", 60, 8 * 128 * 4),
        ("bf16[2,16,64]{2,1,0:T(8,128)(2,1)}", 4096, 2 * 16 * 128 * 2),
        ("bf16[2,16,64]{0,2,1:T(8,128)(2,1)}", 4096, 16 * 64 * 128 * 2),
        ("f32[64]{0:T(128)}", 256, 512),
        ("s32[]{:T(128)}", 4, 512),
        ("u4[16]{0}", 8, 8),
    ],
)
def test_bytes_of_an_array(shape, size, padded):
    (array,) = hlo.arrays(shape)
    assert (array.size, array.padded) == (size, padded)


def test_text_without_a_program_is_refused():
    with pytest.raises(ValueError, match="no HLO module"):
        hlo.parse("HloModule m\n")


def test_only_what_is_in_main_memory_counts_as_its_traffic():
    module = program(
        """
        %a = f32[256]{0} parameter(0)
        %copy-start = (f32[256]{0:S(1)}, f32[256]{0}, u32[]{:S(2)}) copy-start(%a)
        %copy-done = f32[256]{0:S(1)} copy-done(%copy-start)
        %b = f32[256]{0:S(1)} negate(%copy-done)
        ROOT %c = f32[256]{0} add(%b, %copy-done)
        """
    )
    assert hbm_and_all(module) == {
        "copy-start": (1024, 2048),
        "b": (0, 2048),
        "c": (1024, 3072),
    }


def test_a_copied_number_counts():
    module = program(
        """
        %a = u32[]{:T(128)} parameter(0)
        %s = (u32[]{:T(128)S(1)}, u32[]{:T(128)}, u32[]{:S(2)}) copy-start(%a)
        ROOT %d = u32[]{:T(128)S(1)} copy-done(%s)
        """
    )
    assert hbm_and_all(module) == {"s": (512, 8)}


def test_a_slice_that_is_fetched_counts_without_the_rest():
    module = program(
        """
        %a = f32[4,256]{1,0} parameter(0)
        %s = ((f32[4,256]{1,0}), f32[1,256]{1,0:S(1)}, s32[]{:S(2)}) slice-start(%a)
        ROOT %d = f32[1,256]{1,0:S(1)} slice-done(%s)
        """
    )
    assert hbm_and_all(module) == {"s": (1024, 2048)}


def test_fusions_that_slice_or_update_count_the_slice():
    inner = """
        %sliced (p0: f32[4,256], p1: s32[]) -> f32[1,256] {
          %p0 = f32[4,256]{1,0} parameter(0)
          %p1 = s32[] parameter(1)
          ROOT %d = f32[1,256]{1,0} dynamic-slice(%p0, %p1, %p1)
        }
        %doubled (r0: f32[4,256], r1: s32[]) -> f32[1,256] {
          %r0 = f32[4,256]{1,0} parameter(0)
          %r1 = s32[] parameter(1)
          %s = f32[1,256]{1,0} fusion(%r0, %r1), kind=kLoop, calls=%sliced
          ROOT %sum = f32[1,256]{1,0} add(%s, %s)
        }
        %updated (q0: f32[4,256], q1: f32[1,256], q2: s32[]) -> f32[4,256] {
          %q0 = f32[4,256]{1,0} parameter(0)
          %q1 = f32[1,256]{1,0} parameter(1)
          %q2 = s32[] parameter(2)
          ROOT %u = f32[4,256]{1,0} dynamic-update-slice(%q0, %q1, %q2, %q2)
        }
        %both (s0: f32[4,256], s1: f32[1,256], s2: s32[]) -> (f32[4,256], f32[1,256]) {
          %s0 = f32[4,256]{1,0} parameter(0)
          %s1 = f32[1,256]{1,0} parameter(1)
          %s2 = s32[] parameter(2)
          %in = f32[4,256]{1,0} fusion(%s0, %s1, %s2), kind=kLoop, calls=%updated
          %n = f32[1,256]{1,0} negate(%s1)
          ROOT %t = (f32[4,256]{1,0}, f32[1,256]{1,0}) tuple(%in, %n)
        }
        """
    module = program(
        """
        %a = f32[4,256]{1,0} parameter(0)
        %i = s32[] parameter(1)
        %x = f32[1,256]{1,0} fusion(%a, %i), kind=kLoop, calls=%sliced
        %z = f32[1,256]{1,0} fusion(%a, %i), kind=kLoop, calls=%doubled
        %y = f32[4,256]{1,0} fusion(%a, %x, %i), kind=kLoop, calls=%updated
        ROOT %v = (f32[4,256]{1,0}, f32[1,256]{1,0}) fusion(%y, %x, %i), calls=%both
        """,
        inner,
    )
    slices = (2052, 2052)
    both = (3076, 3076)
    assert hbm_and_all(module) == {"x": slices, "z": slices, "y": slices, "v": both}


def test_a_loop_counts_as_often_as_it_runs():
    body = """
        %body (p: (f32[256])) -> (f32[256]) {
          %p = (f32[256]{0}) parameter(0)
          %g = f32[256]{0} get-tuple-element(%p), index=0
          %n = f32[256]{0} negate(%g)
          ROOT %t = (f32[256]{0}) tuple(%n)
        }
        %condition (p.1: (f32[256])) -> pred[] {
          %p.1 = (f32[256]{0}) parameter(0)
          ROOT %true = pred[] constant(true)
        }
        """
    entry = """
        %a = (f32[256]{0}) parameter(0)
        ROOT %w = (f32[256]{0}) while(%a), condition=%condition, body=%body
        """
    assert hbm_and_all(program(entry, body)) == {"n": (2048, 2048)}
    known = ', backend_config={"known_trip_count":{"n":"7"}}'
    entry = entry.rstrip() + known
    assert hbm_and_all(program(entry, body)) == {"n": (7 * 2048, 7 * 2048)}


def test_a_loop_that_counts_between_constants_has_a_known_length():
    inner = """
        %body (p: (s32[], f32[256])) -> (s32[], f32[256]) {
          %p = (s32[], f32[256]{0}) parameter(0)
          %i = s32[] get-tuple-element(%p), index=0
          %one = s32[] constant(1)
          %next = s32[] add(%i, %one)
          %g = f32[256]{0} get-tuple-element(%p), index=1
          %n = f32[256]{0} negate(%g)
          ROOT %t = (s32[], f32[256]{0}) tuple(%next, %n)
        }
        %condition (p.1: (s32[], f32[256])) -> pred[] {
          %p.1 = (s32[], f32[256]{0}) parameter(0)
          %j = s32[] get-tuple-element(%p.1), index=0
          %end = s32[] constant(7)
          ROOT %less = pred[] compare(%j, %end), direction=LT
        }
        """
    entry = """
        %a = f32[256]{0} parameter(0)
        %b = s32[] parameter(1)
        %two = s32[] constant(2)
        %from = s32[] copy(%two)
        %s = (s32[], f32[256]{0}) tuple(%from, %a)
        ROOT %w = (s32[], f32[256]{0}) while(%s), condition=%condition, body=%body
        """
    assert hbm_and_all(program(entry, inner))["n"] == (5 * 2048, 5 * 2048)
    # Unknown where it begins or how it ends.
    given = entry.replace("tuple(%from", "tuple(%b")
    assert hbm_and_all(program(given, inner))["n"] == (2048, 2048)
    other = inner.replace("direction=LT", "direction=NE")
    assert hbm_and_all(program(entry, other))["n"] == (2048, 2048)


def test_bytes_are_summed_by_kind():
    module = program(
        """
        %a = f32[256]{0} parameter(0)
        %b = f32[256]{0} negate(%a)
        %c = f32[256]{0} negate(%b)
        ROOT %d = f32[256]{0} add(%b, %c)
        """
    )
    sums = summed(moved(module), lambda row: row.kind)
    assert [*sums] == ["negate", "add"]
    assert sums["negate"].hbm == 4096 and sums["negate"].instructions == 2


@pytest.mark.parametrize(
    ("op_name", "module"),
    [
        ("jit(step)/jvp(MBNet)/mask_head/pool/add", "forward mask_head/pool"),
        ("jit(step)/transpose(jvp(MBNet))/mask_head/mul", "backward mask_head"),
        ("jit(step)/vmap(resize)/gather", "other resize"),
        ("jit(step)/mul", "other mul"),
        ("state.params['a/b']['kernel']", "argument state"),
        ("", "unknown"),
    ],
)
def test_the_module_that_an_operation_belongs_to(op_name, module):
    assert module_of(op_name) == module


def test_collectives_are_counted_once():
    parts = """
        %start (p: f32[8,64]) -> f32[64,64] {
          %p = f32[8,64]{1,0} parameter(0)
          ROOT %g = f32[64,64]{1,0} all-gather(%p), channel_id=1, EIGHT
        }
        %more (q: f32[8,64]) -> f32[64,64] {
          %q = f32[8,64]{1,0} parameter(0)
          ROOT %h = f32[64,64]{1,0} all-gather(%q), channel_id=1, EIGHT
        }
        %all-reduce-scatter.1 (r: f32[64,64]) -> f32[8,64] {
          %r = f32[64,64]{1,0} parameter(0)
          %s = f32[64,64]{1,0} all-reduce(%r), channel_id=2, TWICE_FOUR
          ROOT %d = f32[8,64]{1,0} dynamic-slice(%s), dynamic_slice_sizes={8,64}
        }
        """
    module = program(
        """
        %a = f32[8,64]{1,0} parameter(0)
        %b = f32[64,64]{1,0} fusion(%a), kind=kCustom, calls=%start
        %c = f32[64,64]{1,0} fusion(%a), kind=kCustom, calls=%more
        %d = f32[8,64]{1,0} fusion(%c), kind=kCustom, calls=%all-reduce-scatter.1
        %e = (f32[8,64]{1,0}, f32[64,64]{1,0}) all-gather-start(%d), channel_id=3
        %f = f32[64,64]{1,0} all-gather-done(%e)
        ROOT %g = f32[8,64]{1,0} all-reduce(%d), channel_id=4, NAMED
        """,
        parts,
    )
    whole, part = 64 * 64 * 4, 8 * 64 * 4
    assert collectives(module, 8) == [
        Collective("all-gather", whole, 8, 1),
        Collective("reduce-scatter", whole, 4, 1),
        Collective("all-gather", whole, 8, 1),
        Collective("all-reduce", part, 4, 1),
    ]
    assert counted(collectives(module, 8)) == (
        "1 all-reduce 0.0 MiB, 2 all-gather 0.0 MiB, 1 reduce-scatter 0.0 MiB"
    )
