"""What each kind of TPU can do, as Google publishes it, and how its slices are wired.

Sources: "System architecture" at docs.cloud.google.com/tpu/docs/v5e, v5p and v6e, read
2026-11-28. The peak FLOP/s are those of `benchmarks.devices`.
"""

import math
from typing import NamedTuple

from benchmarks.devices import published_peak

# Seconds for a message to the next chip: an assumption, since none are published.
HOP = 1e-6


class Chip(NamedTuple):
    """One chip. Bandwidths are bytes/s.

    kind: as jax names it.
    links: of the interconnect, over all axes and both directions.
    axes: of the torus that the chips form; each has two of the chip's links.
    full_side: an axis is a ring if its length is a multiple of this, else a line.
    of_256: the sides of a slice of 256 chips.
    """

    kind: str
    hbm: float  # bytes
    hbm_bandwidth: float
    links: float
    axes: int
    full_side: int
    of_256: str

    @property
    def flops(self) -> float:
        """Peak FLOP/s in bfloat16."""
        return published_peak(self.kind, "bfloat16")

    @property
    def ring(self) -> float:
        """What it sends along one axis, one way, over both links of a ring."""
        return self.links / self.axes / 2


CHIPS = {
    "v5e": Chip("TPU v5 lite", 16e9, 819e9, 400e9, 2, 16, "16x16"),
    "v5p": Chip("TPU v5", 95e9, 2765e9, 1200e9, 3, 4, "4x8x8"),
    "v6e": Chip("TPU v6 lite", 32e9, 1638e9, 800e9, 2, 16, "16x16"),
}


def chip_of(topology: str) -> Chip:
    """The chip of a slice such as "v5e:2x4".

    Raises:
      ValueError: its kind is not in the table.
    """
    kind = topology.partition(":")[0]
    if kind not in CHIPS:
        raise ValueError(
            f"the topology {topology!r} names no known chip; known: {', '.join(CHIPS)}"
        )
    return CHIPS[kind]


def hops(topology: str) -> int:
    """How many chips a message passes to reach all others, axis after axis."""
    full = chip_of(topology).full_side
    return sum(s // 2 if s % full == 0 else s - 1 for s in _sides(topology))


def chips_of(topology: str) -> int:
    """The number of chips of a slice such as "v5e:2x4"."""
    return math.prod(_sides(topology))


def _sides(topology: str) -> list[int]:
    return [int(side) for side in topology.partition(":")[2].split("x")]
