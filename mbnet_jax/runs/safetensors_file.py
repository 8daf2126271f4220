"""The weights of an export, of which nothing is read before its header fits."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors

from mbnet_jax.backbones.weights.files import check_file, reason

_SHOWN = 4  # names in an error
# Bytes of a header: in all, and for each array.
_HEADER, _HEADER_OF_ONE = 1 << 16, 1 << 10
_DTYPES = {"F32": "float32", "F16": "float16"}


def read_arrays(
    path: Path, expected: Mapping[str, tuple[str, tuple[int, ...]]]
) -> dict[str, np.ndarray]:
    """Reads a safetensors file that must hold certain arrays and no others.

    Its header is compared before any array is read: a file of unknown origin fills no
    memory.

    Args:
      path: of the file.
      expected: name -> dtype, float32 or float16, and shape.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: naming the file, and what is missing, unknown or of another shape.
    """
    check_file(path)
    limit = _HEADER + _HEADER_OF_ONE * len(expected)
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
        if size > limit:
            raise ValueError(f"its header has {size:,} bytes, more than {limit:,}")
        with safetensors.safe_open(path, "numpy") as arrays:
            slices = {name: arrays.get_slice(name) for name in arrays.keys()}  # noqa: SIM118
            found = {
                name: (
                    _DTYPES.get(part.get_dtype(), part.get_dtype()),
                    tuple(part.get_shape()),
                )
                for name, part in slices.items()
            }
            _check_fit(path, found, expected)
            return {name: arrays.get_tensor(name) for name in expected}
    except (safetensors.SafetensorError, ValueError) as error:
        if isinstance(error, UnfitError):
            raise
        raise ValueError(
            f"{path} is not a safetensors file ({reason(error)}); replace it"
        ) from error


class UnfitError(ValueError):
    """A file of weights holds other arrays than those of the network."""


def _check_fit(path: Path, found: Mapping, expected: Mapping) -> None:
    def shown(name: str) -> str:
        (of, shape), (dtype, wanted) = found[name], expected[name]
        return f"{name} {of}{list(shape)}, not {dtype}{list(wanted)}"

    problems = {
        "missing": sorted(expected.keys() - found.keys()),
        "not in the network": sorted(found.keys() - expected.keys()),
        "of another shape or type": [
            shown(name)
            for name in sorted(expected)
            if name in found and found[name] != expected[name]
        ],
    }
    if any(problems.values()):
        raise UnfitError(
            f"{path} does not fit the config beside it; export the network again:\n  "
            + "\n  ".join(
                f"{len(names)} {kind}: {', '.join(map(_plain, names[:_SHOWN]))}"
                + (", ..." if len(names) > _SHOWN else "")
                for kind, names in problems.items()
                if names
            )
        )


def _plain(name: str) -> str:
    return (name if name.isprintable() else ascii(name))[:200]
