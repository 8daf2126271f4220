"""Compares exported programs with the network that they were exported from."""

from pathlib import Path

import jax
import numpy as np
from jax import export

from mbnet_jax.evaluation.embed_function import make_embed
from mbnet_jax.export import onnx_file
from mbnet_jax.export.programs import Program
from mbnet_jax.parsing.labels import NUM_LABELS
from mbnet_jax.runs.network import Network

# For each entry of an embedding of length 1. bfloat16 has 8 significant bits.
TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2}
# With predicted parsing maps: rounding decides on a pixel that could be of two labels.
PREDICTED_TOLERANCE = 2e-2


def examples(program: Program, count: int) -> dict[str, np.ndarray]:
    """Returns made-up inputs: noise, and maps of a figure in bands, the last empty."""
    rng = np.random.default_rng(0)
    height, width = program.inputs["image"][:2]
    image = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    figure = np.zeros((height, width), np.uint8)
    bands = np.arange(height) * NUM_LABELS // height
    figure[:, width // 4 : -(width // 4)] = bands[:, None]
    parsing = np.stack([np.roll(figure, i, 0) for i in range(count)])
    parsing[-1] = 0
    given = {"image": image, "parsing": parsing}
    return {name: given[name] for name in program.inputs}


def references(
    network: Network, programs: list[Program], count: int
) -> dict[str, np.ndarray]:
    """Returns the network's own embeddings of `examples`, by the program's name.

    The first program is the main one: its branches include those of the others.
    """
    mesh = jax.tree.leaves(network.variables)[0].sharding.mesh
    inputs = examples(programs[0], count)
    if "parsing" not in inputs:
        inputs["parsing"] = np.zeros(inputs["image"].shape[:3], np.uint8)
    found = {}
    for predicts in {program.predicts for program in programs}:
        embed = make_embed(
            network.config,
            network.model,
            mesh,
            programs[0].branches,
            predicted=predicts,
        )
        rows = embed(network.variables, inputs["image"], inputs["parsing"])
        found |= {
            program.name: np.asarray(rows[program.embedding])
            for program in programs
            if program.predicts == predicts
        }
    return found


def largest_difference(
    program: Program, path: Path, expected: np.ndarray, dtype: str
) -> float:
    """Runs a written program on `examples`; returns its largest error in an entry.

    Raises:
      ValueError: if that is more than `TOLERANCE[dtype]`, or `PREDICTED_TOLERANCE`.
    """
    allowed = PREDICTED_TOLERANCE if program.predicts else TOLERANCE[dtype]
    inputs = examples(program, len(expected))
    run = _run_onnx if path.suffix == onnx_file.ENDING else _run_stablehlo
    difference = float(np.abs(run(path, inputs) - expected).max())
    if not difference <= allowed:  # nan is refused too
        raise ValueError(
            f"{path.name} does not give the network's embeddings: they differ by "
            f"{difference:.1e}, where {allowed:.0e} is allowed. Nothing was "
            "exported; please report this"
            + (", or give --no-onnx" if path.suffix == onnx_file.ENDING else "")
        )
    return difference


def _run_stablehlo(path: Path, inputs: dict[str, np.ndarray]) -> np.ndarray:
    embed = export.deserialize(bytearray(path.read_bytes())).call
    return np.asarray(jax.jit(embed)(*inputs.values()))


def _run_onnx(path: Path, inputs: dict[str, np.ndarray]) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run([onnx_file.OUTPUT], inputs)[0]
