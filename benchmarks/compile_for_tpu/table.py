"""One line of the table for each program, slice and batch."""

from benchmarks.compile_for_tpu.cache import Result
from benchmarks.compile_for_tpu.collectives import counted
from benchmarks.compile_for_tpu.roofline import Bound

HEADER = (
    "| program | slice | batch a chip | memory | GFLOP | HBM | accessed | collectives "
    "| compute | traffic | links | bound by | images/s a chip | on 256 | compile |"
)
RULE = f"|{'---|' * (HEADER.count('|') - 1)}"


def line(
    name: str,
    topology: str,
    batch: int | None,
    result: Result,
    bound: Bound | None,
) -> str:
    """The line of a program; all figures are of one chip.

    Args:
      name: of the program.
      topology: the slice.
      batch: images on each chip; None for a program that takes none.
      result: the compiler's.
      bound: of `result`; None if it does not fit, or its text cannot be read.
    """
    start = [name, topology, "-" if batch is None else str(batch)]
    if bound is None and result.fits:
        rest = [
            _gib(result.memory),
            f"{result.flops / 1e9:,.1f}",
            "unreadable",
            _gib(result.accessed),
            *["-"] * 7,
            f"{result.seconds:.0f} s",
        ]
        return f"| {' | '.join(start + rest)} |"
    if bound is None:
        needs = f": needs {_gib(result.needs)}" if result.needs else ""
        rest = [f"does not fit{needs}", *["-"] * 10, f"{result.seconds:.0f} s"]
        return f"| {' | '.join(start + rest)} |"
    rate = "-" if batch is None else f"{batch / bound.total:,.0f}"
    rest = [
        _gib(result.memory),
        f"{result.flops / 1e9:,.1f}",
        _gib(bound.hbm),
        _gib(result.accessed),
        counted(bound.collectives) or "none",
        _ms(bound.compute),
        _ms(bound.memory),
        _ms(bound.links),
        bound.by,
        rate,
        f"{bound.efficiency:.0%}" if bound.links else "-",
        f"{result.seconds:.0f} s",
    ]
    return f"| {' | '.join(start + rest)} |"


def _gib(size: float) -> str:
    return f"{size / 2**30:,.2f} GiB"


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms"
