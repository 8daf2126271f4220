"""Prints where a compiled program's bytes go: by kind, by module, by instruction."""

from collections.abc import Iterator

from benchmarks.compile_for_tpu import hlo
from benchmarks.compile_for_tpu.traffic import Moved, Sum, moved, summed

_HEADER = "| {} | HBM MiB | all MiB | kcycles | instructions |\n|---|---|---|---|---|"


def where(text: str, depth: int = 2, rows: int = 40) -> Iterator[str]:
    """The tables of a program's bytes, as lines of Markdown.

    Args:
      text: the optimised HLO.
      depth: how many names of a module's path are kept.
      rows: at most so many of each table.
    """

    def short(row: Moved) -> str:
        return "/".join(row.module.split("/")[:depth])

    found = moved(hlo.parse(text))
    yield _HEADER.format("kind")
    yield from _lines(summed(found, lambda row: row.kind), rows)
    yield from ("", _HEADER.format("module"))
    yield from _lines(summed(found, short), rows)
    yield from ("", _HEADER.format("module and kind"))
    yield from _lines(summed(found, lambda row: f"{short(row)}: {row.kind}"), rows)
    for title, size in (("HBM", _hbm), ("all", _all)):
        yield f"\n| the most of *{title}*: instruction | kind | module | shape | MiB |"
        yield "|---|---|---|---|---|"
        for row in sorted(found, key=size, reverse=True)[:rows]:
            shape = ", ".join(
                f"{a.dtype}[{','.join(map(str, a.dims))}]"
                for a in row.instruction.arrays
            )
            yield (
                f"| {row.instruction.name} | {row.kind} | {row.module} | {shape[:90]} "
                f"| {size(row) / 2**20:.1f} |"
            )


def _hbm(row: Moved) -> int:
    return row.hbm


def _all(row: Moved) -> int:
    return row.all


def _lines(sums: dict[str, Sum], rows: int) -> Iterator[str]:
    total = [sum(column) for column in zip(*sums.values(), strict=True)]
    for name, part in [("**total**", Sum(*total)), *sums.items()][: rows + 1]:
        yield (
            f"| {name} | {part.hbm / 2**20:,.1f} | {part.all / 2**20:,.1f} "
            f"| {part.cycles / 1e3:,.0f} | {part.instructions} |"
        )
