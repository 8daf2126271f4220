"""Compiles the project's programs for TPUs, on a machine that has none.

python -m benchmarks.compile_for_tpu --config configs/prcc.py
    [--topologies v5e:2x4 v6e:16x16] [--batch_sizes 8 16] [--dtype float32]
    [--programs step embedding retrieval yardstick] [--largest] [--where [DEPTH]]
    [--cache DIR] [--config.FIELD=VALUE ...]

Prints a line for each program, slice and number of images on each chip: whether it
fits, its memory, arithmetic, traffic and collectives, and the least time that it can
take. The yardstick is a lean step of the config's backbones alone
(benchmarks/lean_step.py). Needs libtpu: pip install -r requirements-tpu.txt. A program
takes minutes to compile; results are kept in the cache.

--largest searches the largest batch of a chip that fits. --where prints instead where
the bytes go, by kind of operation and by module, whose paths are cut after DEPTH names.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from ml_collections import ConfigDict

from benchmarks.compile_for_tpu import programs
from benchmarks.compile_for_tpu.cache import Result, compiled
from benchmarks.compile_for_tpu.chips import chip_of
from benchmarks.compile_for_tpu.command import new_parser, parsed
from benchmarks.compile_for_tpu.largest import largest
from benchmarks.compile_for_tpu.roofline import bound
from benchmarks.compile_for_tpu.table import HEADER, RULE, line
from benchmarks.compile_for_tpu.topology import mesh_of
from benchmarks.compile_for_tpu.where import where
from mbnet_jax.files import cache_folder

PROGRAMS = ("step", "embedding", "retrieval")
YARDSTICK = "yardstick"  # a lean step of the same backbones


def main() -> None:
    """Parses the command line; bad input ends in a one-line message."""
    parser = new_parser(__doc__, batch=8)
    parser.add_argument("--topologies", nargs="+", default=["v5e:2x4"])
    parser.add_argument(
        "--programs", nargs="+", default=PROGRAMS, choices=(*PROGRAMS, YARDSTICK)
    )
    parser.add_argument("--largest", action="store_true")
    parser.add_argument("--where", nargs="?", type=int, const=2, metavar="DEPTH")
    parser.add_argument("--cache", type=Path, default=cache_folder("tpu"))
    try:
        arguments, config = parsed(parser)
        slices = [Slice(name, config, arguments) for name in arguments.topologies]
        if arguments.where is None:
            print(f"{HEADER}\n{RULE}")
        for one in slices:
            for text in one.lines():
                print(text, flush=True)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


class Slice:
    """The lines of one slice."""

    def __init__(self, topology: str, config: ConfigDict, arguments):
        """Takes the command line's choices."""
        chip_of(topology)
        self._topology, self._config, self._arguments = topology, config, arguments
        self._mesh = mesh_of(topology)

    def lines(self) -> Iterator[str]:
        """Compiles one program after the other, and describes each."""
        for name in self._arguments.programs:
            if name == "retrieval":
                traced = programs.retrieval(self._config, self._mesh)
                for part, each in traced.items():
                    result = compiled(each, self._topology, self._arguments.cache)
                    yield from self._described(f"retrieval: {part}", None, result)
                continue
            for batch in self._arguments.batch_sizes:
                result = self._compiled(name, batch)
                yield from self._described(name, batch, result)
            if self._arguments.largest:
                most = largest(
                    lambda batch, name=name: self._fits(name, batch),
                    min(self._arguments.batch_sizes),
                )
                yield f"\nlargest batch of {name} on {self._topology}: {most} a chip\n"

    def _compiled(self, name: str, batch: int) -> Result:
        traced = getattr(programs, name)(self._config, self._mesh, batch)
        return compiled(traced, self._topology, self._arguments.cache)

    def _fits(self, name: str, batch: int) -> bool:
        return self._compiled(name, batch).fits

    def _described(self, name: str, batch: int | None, result: Result) -> Iterator[str]:
        if self._arguments.where is not None:
            if not result.fits:
                raise ValueError(
                    f"{name} with {batch} images a chip does not fit {self._topology}; "
                    "give smaller --batch_sizes"
                )
            if not result.text:
                raise ValueError(
                    f"jaxlib cannot read the program that libtpu compiled for "
                    f"{self._topology}; --where needs versions that fit"
                )
            yield f"\n{name}, {self._topology}, batch {batch}\n"
            yield from where(result.text, self._arguments.where)
            return
        own = None
        if result.fits and result.text:
            own = bound(result, self._topology, self._mesh.size)
        yield line(name, self._topology, batch, result, own)


if __name__ == "__main__":
    main()
