"""The devices of a TPU slice on a machine without one, from the package libtpu."""

import contextlib
import os
from collections.abc import Iterator
from importlib import metadata

import jax
from jax.experimental import topologies
from jax.sharding import Mesh

from mbnet_jax.devices.mesh import make_mesh

# libtpu otherwise asks Google Cloud which slice this machine belongs to, waits, and
# warns that it does not know. One process may hold a TPU; none is held here.
_ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


def libtpu_version() -> str:
    """The version of libtpu.

    Raises:
      ValueError: it is not installed.
    """
    try:
        return metadata.version("libtpu")
    except metadata.PackageNotFoundError as error:
        raise ValueError(
            "compiling for a TPU needs libtpu, which is not installed: "
            "pip install -r requirements-tpu.txt"
        ) from error


def mesh_of(name: str) -> Mesh:
    """The mesh of a slice such as "v5e:2x4"; "v5e:1x1" is a single chip.

    Raises:
      ValueError: libtpu is not installed, or knows no such slice.
    """
    libtpu_version()
    # Nothing runs: what is computed on the way needs the CPU alone.
    jax.config.update("jax_platforms", "cpu")
    chips = name.partition(":")[2].split("x")
    options = {}
    if all(side == "1" for side in chips):
        options["chips_per_host_bounds"] = (1, 1, 1)
    try:
        with _environment():
            slice_ = topologies.get_topology_desc(
                platform="tpu", topology_name=name, **options
            )
    except Exception as error:  # of several types, none of them documented
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"libtpu describes no slice {name!r}: {reason}; for example v5e:2x4, "
            "v5p:2x2x2, v6e:16x16"
        ) from error
    return make_mesh(list(slice_.devices))


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Sets `_ENVIRONMENT` while libtpu is loaded, not for programs started later."""
    added = _ENVIRONMENT.keys() - os.environ.keys()
    os.environ.update({name: _ENVIRONMENT[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
