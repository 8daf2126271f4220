"""The least time that a compiled program can take on a chip, and what bounds it."""

from typing import NamedTuple

from benchmarks.compile_for_tpu import hlo
from benchmarks.compile_for_tpu.cache import Result
from benchmarks.compile_for_tpu.chips import chip_of, hops
from benchmarks.compile_for_tpu.collectives import Collective, collectives, seconds
from benchmarks.compile_for_tpu.traffic import moved


class Bound(NamedTuple):
    """Seconds that a step needs at least, by part of the chip.

    compute: at the peak of bfloat16.
    memory: the chip's main memory.
    links: the collectives, one after the other. They overlap with the rest only in
      part, so `total` adds them.
    links_256: the same on 256 chips, with as many images on each: what is reduced
      stays as large, what is gathered from all chips or scattered to them grows with
      their number. Compile for 256 chips to see what becomes of sharded parameters.
    hbm: bytes that the main memory reads and writes.
    collectives: see there.
    """

    compute: float
    memory: float
    links: float
    links_256: float
    hbm: int
    collectives: list[Collective]

    @property
    def total(self) -> float:
        """The sum of the links and of the larger of the others."""
        return max(self.compute, self.memory) + self.links

    @property
    def efficiency(self) -> float:
        """The speed of one of 256 chips, by that of a chip without links."""
        alone = max(self.compute, self.memory)
        return alone / (alone + self.links_256)

    @property
    def by(self) -> str:
        """The part that takes longest."""
        parts = ("compute", "memory", "links")
        return max(parts, key=lambda part: getattr(self, part))


def bound(result: Result, topology: str, chips: int) -> Bound:
    """The bound of a program that fits, on a slice of `chips` chips."""
    chip, module = chip_of(topology), hlo.parse(result.text)
    found = collectives(module, chips)
    many = f"{topology.partition(':')[0]}:{chip.of_256}"
    hbm = sum(row.hbm for row in moved(module))
    return Bound(
        compute=result.flops / chip.flops,
        memory=hbm / chip.hbm_bandwidth,
        links=sum(seconds(one, chip, hops(topology)) for one in found),
        links_256=sum(
            seconds(_on_256(one, chips), chip, hops(many))
            for one in found
            if one.group == chips
        ),
        hbm=hbm,
        collectives=found,
    )


def _on_256(collective: Collective, chips: int) -> Collective:
    """A collective of all chips, if there were 256 of them."""
    grows = collective.kind != "all-reduce"
    size = collective.bytes * 256 // chips if grows else collective.bytes
    return collective._replace(bytes=size, group=256)
