"""Writes the folder of an exported network, and compares it with the network."""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp

from mbnet_jax.devices.mesh import make_mesh, replicated
from mbnet_jax.evaluation.branches import chosen_branches
from mbnet_jax.export import card, onnx_file, stablehlo
from mbnet_jax.export.check import largest_difference, references
from mbnet_jax.export.folder import check_out, resolved, whole_folder
from mbnet_jax.export.mean import mean_of
from mbnet_jax.export.other_parser import with_parser_of
from mbnet_jax.export.programs import Program, check_size, make_programs
from mbnet_jax.export.results import results_of
from mbnet_jax.files import write_whole
from mbnet_jax.locks import LOCK
from mbnet_jax.runs import calibration_file, exported
from mbnet_jax.runs.checkpoints import BEST
from mbnet_jax.runs.load import find, load
from mbnet_jax.runs.network import Network, without_classifiers

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
    results: Path | None = None,
    mean: str = "",
    image_parser: str = "",
    change: Callable[[Network], Network] | None = None,
) -> dict[str, float]:
    """Writes the folder `out`: all files or none.

    Args:
      model: what `runs.load.load` takes.
      out: the folder; an export there is replaced.
      branches: those that the embedding combines; empty: those of `eval.branches`.
      which: the run's checkpoint, "best" or a step.
      platforms: of the StableHLO programs, of `stablehlo.PLATFORMS`; empty: no such
        programs.
      onnx: whether to write ONNX files, which needs jax2onnx.
      half: whether to round the weights to float16 and store them so. All files then
        hold the rounded network.
      license_id: the weights' licence, as the Hugging Face hub names it; "" leaves
        it to be filled in.
      results: where evaluations of these weights wrote their results and
        `calibration.json`. None: the folder of `model`.
      mean: another network, which `load` takes too: the means of both networks'
        weights are exported (see `mean_of`). The results of `model` are not theirs,
        so there are none but those of `results`. "": none.
      image_parser: another network, which `load` takes too: its image parser takes the
        place of the model's (see `with_parser_of`); results as for `mean`. "": none.
      change: a function of the network to the one that is exported, which has no
        results of its own either.

    Returns:
      The name of each program's file -> its largest difference from the network, in
      an entry of an embedding. StableHLO that is not for a CPU is not compared and
      not listed.

    Raises:
      FileNotFoundError, ValueError, OSError: if the input cannot be used or the
        folder cannot be written; `out` is then as it was.
    """
    stablehlo.check_platforms(platforms)
    card.check_license(license_id)
    out = resolved(out)
    check_out(out)
    if onnx:
        onnx_file.check_converter()
    # On a CPU, even if there are other devices: their float32 products may be inexact.
    mesh = make_mesh(jax.local_devices(backend="cpu")[:1])
    network = without_classifiers(load(model, mesh, which))
    tested = results or (None if mean or image_parser or change else find(model))
    calibrations = _calibrations(tested, network, results)
    if mean:
        other = without_classifiers(load(mean, mesh))
        network = mean_of(network, other, mean)
    if image_parser:
        network = with_parser_of(network, load(image_parser, mesh), image_parser)
    if change:
        network = change(network)
    branches = exported_branches(branches, network)
    if platforms or onnx:
        check_size(network, branches)
    if half:
        variables = exported.rounded(network.variables)
        variables = jax.device_put(variables, replicated(mesh))
        network = network._replace(variables=variables)
    with jax.default_device(mesh.devices[0]), whole_folder(out) as folder:
        exported.write_weights(network.variables, folder, half)
        programs = make_programs(network, branches)
        written = programs if platforms or onnx else []
        differences = {}
        if platforms:
            differences |= _write_programs(
                network,
                programs,
                folder,
                stablehlo.ENDING,
                lambda program: stablehlo.to_stablehlo(program, platforms),
                compare="cpu" in platforms,
            )
        if onnx:
            # Its parameters are float32 in any case.
            model32 = network.model.clone(dtype=jnp.dtype("float32"))
            network32 = network._replace(model=model32)
            differences |= _write_programs(
                network32,
                make_programs(network32, branches),
                folder,
                onnx_file.ENDING,
                onnx_file.to_onnx,
            )
        text = card.model_card(
            network,
            programs,
            differences,
            tested,
            branches=branches,
            platforms=platforms,
            onnx=onnx,
            half=half,
            license_id=license_id,
            calibrations=calibrations,
            tested_elsewhere=results is not None,
        )
        if calibrations:
            calibration_file.write_calibrations(folder, network.step, calibrations)
        write_whole(folder / card.FILE, text)
        exported.write_config(
            network,
            folder,
            branches=branches,
            half=half,
            programs={program.name: program.described() for program in written},
            files=[path.name for path in folder.iterdir() if path.name != LOCK],
        )
    return differences


def _calibrations(
    tested: Path | None, network: Network, given: Path | None
) -> list[calibration_file.Calibration]:
    """Those in the folder `tested`, of the network's checkpoint.

    Raises:
      ValueError: if the file is damaged, or `given`, of `--results`, has no evaluation
        of this checkpoint.
    """
    if tested is None:
        return []
    found = calibration_file.read_calibrations(tested, network.step)
    if given and not (found or results_of(given, network.config, network.step)):
        raise ValueError(
            f"--results={given} has no evaluation of the checkpoint of step "
            f"{network.step}; write one: mbnet-eval --model MODEL --out {given}"
        )
    return found


def exported_branches(branches: tuple[str, ...], network: Network) -> tuple[str, ...]:
    """Returns the `eval.branches` of the export: the given ones, or else the run's.

    Raises:
      ValueError: if the network does not have one of them, or one is named twice.
    """
    if not branches:
        return network.config.eval.branches
    if len({*branches}) < len(branches):
        raise ValueError(f"--branches={','.join(branches)}: name each branch once")
    return chosen_branches(branches, network.model, "--branches")


def _write_programs(
    network: Network,
    programs: list[Program],
    folder: Path,
    ending: str,
    write: Callable[[Program], bytes],
    compare: bool = True,
) -> dict[str, float]:
    """Writes each program in one form; returns the files' differences."""
    expected = references(network, programs, _COMPARED) if compare else {}
    differences = {}
    for program in programs:
        path = folder / f"{program.name}{ending}"
        write_whole(path, write(program))
        if compare:
            differences[path.name] = largest_difference(
                program, path, expected[program.name], network.model.dtype.name
            )
    return differences
