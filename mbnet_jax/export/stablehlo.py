"""A program as StableHLO, which jax alone can run."""

import jax
from jax import export

from mbnet_jax.backbones.attention import portable
from mbnet_jax.export.programs import Program

ENDING = ".stablehlo"
PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def check_platforms(platforms: tuple[str, ...]) -> None:
    """Raises a ValueError if a platform is unknown, or named twice."""
    if not {*platforms} <= {*PLATFORMS} or len({*platforms}) < len(platforms):
        raise ValueError(
            f"--platforms={','.join(platforms)[:200]!r}: name some of "
            f"{', '.join(PLATFORMS)}, each once"
        )


def to_stablehlo(program: Program, platforms: tuple[str, ...]) -> bytes:
    """Returns the program for each of the platforms, as `jax.export` serialises it.

    A layer with its own form on a platform is exported in that form. No device of the
    platforms is needed.
    """

    def embed(*arguments):  # not traced before, for one platform
        return program.embed(*arguments)

    exported = export.export(jax.jit(embed), platforms=platforms)
    with portable():
        return bytes(exported(*program.arguments()).serialize())
