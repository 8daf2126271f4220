"""A program as StableHLO, which jax alone runs."""

import jax
from jax import export

from mbnet_jax.export.programs import Program

ENDING = ".stablehlo"
PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def check_platforms(platforms: tuple[str, ...]) -> None:
    """Raises a ValueError if a platform is unknown."""
    if not {*platforms} <= {*PLATFORMS}:
        raise ValueError(
            f"--platforms={','.join(platforms)}: name some of {', '.join(PLATFORMS)}"
        )


def to_stablehlo(program: Program, platforms: tuple[str, ...]) -> bytes:
    """The program for each of the platforms, as `jax.export` writes it.

    A platform has its own form of a layer where the network has one. None of them
    needs to be here.
    """
    exported = export.export(jax.jit(program.embed), platforms=platforms)
    return bytes(exported(*program.arguments()).serialize())
