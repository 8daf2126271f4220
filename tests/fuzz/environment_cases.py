"""Environment variables: clusters, caches, the home directory."""

from pathlib import Path

import jax

from mbnet_jax.devices import cluster, compilation_cache
from mbnet_jax.files import cache_folder

from . import mutate
from .case import Case, surface
from .choices import Choices

SLURM = {
    "SLURM_JOB_ID": "1",
    "SLURM_STEP_NODELIST": "localhost",
    "SLURM_NTASKS": "1",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
}
VALUES = (
    "",
    "x",
    "-1",
    "0",
    "1",
    "1.5",
    " 1 ",
    "\u0661",
    "9" * 5000,
    "1e9",
    "nan",
    "1,1",
)


@surface("environment", share=15, seconds=10)
def environment(c: Choices, folder: Path) -> Case:
    """A variable has an odd value, or is missing."""
    kind = c.pick(("slurm", "slurm", "cache", "join"))
    if kind == "slurm":
        name = c.pick(("SLURM_NTASKS", "SLURM_NTASKS", *SLURM))
        new = c.pick((None, *VALUES))
        variables = SLURM | {name: new}

        def check(count) -> str | None:
            one = type(count) is int and count >= 1
            return None if one else f"{count!r} processes"

        return Case(
            f"{name}={mutate.shown(new)}",
            cluster.detected_processes,
            (name,),
            check,
            environment=variables,
        )
    if kind == "cache":
        name = c.pick(("XDG_CACHE_HOME", "HOME", "JAX_COMPILATION_CACHE_DIR"))
        new = c.pick(
            (None, "", ".", "relative", "/dev/null", "~", "x" * 300, "/proc/no")
        )
        variables = {"JAX_COMPILATION_CACHE_DIR": None, name: new}

        def run():
            before = jax.config.jax_compilation_cache_dir
            jax.config.update("jax_compilation_cache_dir", None)
            try:
                compilation_cache.enable()
            finally:
                jax.config.update("jax_compilation_cache_dir", before)
            return cache_folder("search")

        return Case(
            f"{name}={mutate.shown(new)}",
            run,
            (name, "home", str(new)),
            lambda path: None if isinstance(path, Path) else f"{path!r}",
            writes=(folder.parent.parent,),
            environment=variables,
        )
    given = ["localhost:1", 1, 0]
    at = c.whole(0, 2)
    odd = ("", "x", "x:y", "x:99999", ":1", "a:-1", None) if at == 0 else (None, -1, 0)
    given[at] = c.pick(odd)

    def join():
        with cluster.joined(*given):
            raise AssertionError("joined")

    if given == ["localhost:1", 1, 0]:
        given[1] = -5
    return Case(
        f"join {given}",
        join,
        ("--coordinator", "--num-proc", "--process-id"),
        valid=False,
    )
