"""Written programs against the network that they were made from."""

from pathlib import Path

import jax
import numpy as np
from jax import export

from mbnet_jax.evaluation.embed import make_embed
from mbnet_jax.export import onnx_file
from mbnet_jax.export.programs import Program
from mbnet_jax.parsing.labels import NUM_LABELS
from mbnet_jax.runs.load import Trained

# Of an entry of the embedding, whose length is 1. bfloat16 keeps 8 bits.
TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2}


def examples(program: Program, count: int) -> dict[str, np.ndarray]:
    """Made-up inputs: noise, and maps of a figure in bands, the last of nobody."""
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
    trained: Trained, programs: list[Program], count: int
) -> dict[str, np.ndarray]:
    """The network's own embeddings of `examples`, by the program's name."""
    mesh = jax.tree.leaves(trained.variables)[0].sharding.mesh
    embed = make_embed(trained.config, trained.model, mesh)
    inputs = examples(programs[0], count)
    if "parsing" not in inputs:
        inputs["parsing"] = np.zeros(inputs["image"].shape[:3], np.uint8)
    rows = embed(trained.variables, inputs["image"], inputs["parsing"])
    return {program.name: np.asarray(rows[program.embedding]) for program in programs}


def largest_difference(
    program: Program, path: Path, expected: np.ndarray, dtype: str
) -> float:
    """Runs a written program on `examples`; how far it is from what is expected.

    Raises:
      ValueError: if that is more than `TOLERANCE[dtype]`.
    """
    inputs = examples(program, len(expected))
    run = _run_onnx if path.suffix == onnx_file.ENDING else _run_stablehlo
    difference = float(np.abs(run(path, inputs) - expected).max())
    if not difference <= TOLERANCE[dtype]:  # nan neither
        raise ValueError(
            f"{path.name} gives other embeddings than the network: they differ by "
            f"{difference:.1e}, where {TOLERANCE[dtype]:.0e} is allowed. Nothing was "
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
