"""Writes an exported network's folder, and compares what it wrote with the network."""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp

from mbnet_jax.devices.mesh import make_mesh, replicated
from mbnet_jax.evaluation.embed import evaluated_branches
from mbnet_jax.export import card, onnx_file, stablehlo
from mbnet_jax.export.check import largest_difference, references
from mbnet_jax.export.folder import check_out, whole_folder
from mbnet_jax.export.programs import Program, make_programs
from mbnet_jax.files import write_whole
from mbnet_jax.runs import exported as stored
from mbnet_jax.runs.checkpoints import BEST
from mbnet_jax.runs.load import Trained, load, load_trained

_COMPARED = 2  # made-up images that a written program and the network embed
PLATFORMS = ("cpu", "cuda", "tpu")


def export_network(
    model: str,
    out: Path,
    branches: tuple[str, ...] = (),
    which: str | int = BEST,
    platforms: tuple[str, ...] = PLATFORMS,
    onnx: bool = True,
    half: bool = False,
    license_id: str = "",
) -> dict[str, float]:
    """Writes the folder `out`: all files or none.

    Args:
      model: what `trained.load` takes; for a step, the folder of a run.
      branches: those that take part in the embedding; empty: as in `eval.branches`.
      which: the checkpoint, "best" or a step.
      platforms: of the StableHLO programs, of `stablehlo.PLATFORMS`; empty: none of
        these programs.
      onnx: whether to write ONNX files, which needs jax2onnx.
      half: whether the weights are rounded to float16, and stored so. All files are
        then of the rounded network.
      license_id: the weights' licence, as the Hugging Face hub names it; "" leaves
        it to be filled in.

    Returns:
      The name of each program's file -> how far it is from the network. StableHLO
      that is not for a CPU is not compared, and is left out.

    Raises:
      FileNotFoundError, ValueError, OSError: for input that cannot be used, or a
        folder that cannot be written; `out` is then as it was.
    """
    stablehlo.check_platforms(platforms)
    check_out(out)
    if onnx:
        onnx_file.check_converter()
    # On the CPU whatever else there is, so that float32 products are exact.
    mesh = make_mesh(jax.local_devices(backend="cpu")[:1])
    trained = (
        load(model, mesh) if which == BEST else load_trained(Path(model), mesh, which)
    )
    trained = with_branches(trained, branches)
    if half:
        variables = jax.device_put(stored.rounded(trained.variables), replicated(mesh))
        trained = trained._replace(variables=variables)
    with jax.default_device(mesh.devices[0]), whole_folder(out) as folder:
        stored.write_weights(trained.variables, folder, half)
        programs = make_programs(trained)
        written = programs if platforms or onnx else []
        stored.write_config(
            trained.config,
            folder,
            half,
            step=trained.step,
            num_classes=trained.model.num_classes,
            num_clothes=trained.model.num_clothes,
            programs={program.name: program.described() for program in written},
        )
        differences = {}
        if platforms:
            differences |= _write_programs(
                trained,
                folder,
                stablehlo.ENDING,
                lambda program: stablehlo.to_stablehlo(program, platforms),
                compare="cpu" in platforms,
            )
        if onnx:
            differences |= _write_programs(
                _in_float32(trained), folder, onnx_file.ENDING, onnx_file.to_onnx
            )
        text = card.model_card(
            trained,
            programs,
            differences,
            Path(model),
            platforms=platforms,
            onnx=onnx,
            half=half,
            license_id=license_id,
        )
        write_whole(folder / card.FILE, text)
    return differences


def with_branches(trained: Trained, branches: tuple[str, ...]) -> Trained:
    """The network whose `eval.branches` are those, if any."""
    config = trained.config.copy_and_resolve_references()
    if branches:
        try:
            config.eval.branches = evaluated_branches(branches, trained.model)
        except ValueError as error:
            raise ValueError(f"--branches={','.join(branches)}: {error}") from error
    return trained._replace(config=config)


def _in_float32(trained: Trained) -> Trained:
    """The network as ONNX Runtime computes it; its parameters are float32 anyway."""
    config = trained.config.copy_and_resolve_references()
    config.model.dtype = "float32"
    return trained._replace(
        config=config, model=trained.model.clone(dtype=jnp.dtype("float32"))
    )


def _write_programs(
    trained: Trained,
    folder: Path,
    ending: str,
    write: Callable[[Program], bytes],
    compare: bool = True,
) -> dict[str, float]:
    """Writes each program in one form; the files' differences from the network."""
    programs = make_programs(trained)
    expected = references(trained, programs, _COMPARED) if compare else {}
    differences = {}
    for program in programs:
        path = folder / f"{program.name}{ending}"
        write_whole(path, write(program))
        if compare:
            differences[path.name] = largest_difference(
                program, path, expected[program.name], trained.config.model.dtype
            )
    return differences
