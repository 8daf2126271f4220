"""Compiles a lowered program, once: results are kept on disk.

A compilation takes minutes. Its result is found again by a digest of the lowered
program, the slice, and the versions of jax and libtpu.
"""

import gzip
import hashlib
import re
import time
from pathlib import Path
from typing import NamedTuple

import jax

from benchmarks.compile_for_tpu.chips import chips_of
from benchmarks.compile_for_tpu.loops import repeated_bytes, repeated_flops
from benchmarks.compile_for_tpu.topology import libtpu_version
from mbnet_jax.files import read_bytes, write_whole
from mbnet_jax.json_files import read_json, write_json
from mbnet_jax.schema import flag, real

_REMEDY = "delete the file"
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_MAX_TEXT = 1 << 30  # bytes of a compressed HLO text


class Result(NamedTuple):
    """What the compiler made of a program, for each chip.

    fits: into the chip's memory; if not, all but `needs` and `seconds` is empty.
    needs: bytes of memory, if it does not fit; 0 if the compiler does not say.
    text: the optimised HLO; "" if jaxlib cannot read what libtpu wrote.
    flops, accessed: as the compiler counts them, and what loops add, of which it counts
      one run; the latter also counts what stays in the core's memory.
    memory: bytes of arguments, results and temporaries together.
    seconds: of compiling.
    """

    fits: bool
    needs: float
    text: str
    flops: float
    accessed: float
    memory: float
    seconds: float


_FIELDS = {
    "fits": flag(None),
    **{
        name: real(None, high=1e18)
        for name in ("needs", "flops", "accessed", "memory", "seconds")
    },
}


def compiled(traced: jax.stages.Traced, topology: str, folder: Path) -> Result:
    """Compiles a program for a slice, or reads the result of an earlier time.

    A program that does not fit into the chip's memory is a result too.
    """
    lowered = traced.lower(lowering_platforms=("tpu",))
    versions = (topology, jax.__version__, libtpu_version())
    content = "\n".join((*versions, lowered.as_text()))
    digest = hashlib.sha256(content.encode()).hexdigest()[:32]
    numbers, hlo = folder / f"{digest}.json", folder / f"{digest}.hlo.gz"
    if numbers.exists() and hlo.exists():
        found = read_json(numbers, _FIELDS, _REMEDY)
        read = gzip.decompress(read_bytes(hlo, _MAX_TEXT)).decode()
        result = Result(text=read, **{name: found[name] for name in _FIELDS})
        return _with_loops(result, traced, topology)
    result = _compile(lowered)
    folder.mkdir(parents=True, exist_ok=True)
    # The numbers last: they say that both are there.
    write_whole(hlo, gzip.compress(result.text.encode(), mtime=0))
    write_json(numbers, {name: getattr(result, name) for name in _FIELDS})
    return _with_loops(result, traced, topology)


def _with_loops(result: Result, traced: jax.stages.Traced, topology: str) -> Result:
    if not result.fits:
        return result
    return result._replace(
        flops=result.flops + repeated_flops(traced.jaxpr, chips_of(topology)),
        accessed=result.accessed + repeated_bytes(result.text),
    )


def _compile(lowered: jax.stages.Lowered) -> Result:
    start = time.perf_counter()
    try:
        executable = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        needs = needed(str(error))
        if needs is None:
            raise
        return Result(False, needs, "", 0.0, 0.0, 0.0, time.perf_counter() - start)
    seconds = time.perf_counter() - start
    cost = executable.cost_analysis()
    return Result(
        fits=True,
        needs=0.0,
        text=_text(executable),
        # A program without arithmetic has no "flops".
        flops=cost.get("flops", 0.0),
        accessed=cost.get("bytes accessed", 0.0),
        memory=float(held(executable)),
        seconds=seconds,
    )


def held(executable: jax.stages.Compiled) -> int:
    """Bytes of arguments, results and temporaries together, on each device."""
    memory = executable.memory_analysis()
    return (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes
    )


def _text(executable: jax.stages.Compiled) -> str:
    """The optimised program; "" where libtpu writes it in a form unknown to jaxlib."""
    try:
        return executable.as_text()
    except jax.errors.JaxRuntimeError:
        return ""


def needed(message: str) -> float | None:
    """The bytes that the compiler's message says a program needs; None: another error.

    0 if it does not say. Messages have "Used 31.40G of 15.75G hbm" or "the total memory
    required for HLO temporaries (31.40G) exceeds available HBM (15.75G)".
    """
    if "RESOURCE_EXHAUSTED" not in message:
        return None
    found = re.search(
        r"(?:[Uu]sed |\()([\d.]+)([KMGT]?)i?B?(?: of |\) exceeds )", message
    )
    return float(found.group(1)) * _UNITS[found.group(2)] if found else 0.0
