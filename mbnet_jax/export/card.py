"""The README of an export: its inputs and outputs, its results, how to use it."""

import re
from collections.abc import Sequence
from pathlib import Path

import jinja2
from ml_collections import ConfigDict

from mbnet_jax.backbones import BACKBONES
from mbnet_jax.data import DATASETS
from mbnet_jax.data.parts import parts_of
from mbnet_jax.export import onnx_file, stablehlo
from mbnet_jax.export.programs import Program
from mbnet_jax.export.results import results_of
from mbnet_jax.models import BRANCHES
from mbnet_jax.models.branches import owner
from mbnet_jax.runs.calibration_file import Calibration
from mbnet_jax.runs.network import Network
from mbnet_jax.runs.tested import trained_title

FILE = "README.md"
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("mbnet_jax.export", "."),
    keep_trailing_newline=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
_LICENSE = re.compile(r"[A-Za-z][A-Za-z0-9.+-]{1,63}")
_NOT_TEXT = ("no", "yes", "on", "off", "true", "false", "null")  # in YAML


def check_license(license_id: str) -> None:
    """Raises a ValueError for what cannot be the hub's name of a licence."""
    known = _LICENSE.fullmatch(license_id) and license_id.lower() not in _NOT_TEXT
    if license_id and not known:
        raise ValueError(
            f"--license={license_id[:60]!r} must be a licence as the Hugging Face hub "
            "names it, such as apache-2.0: letters, digits, '.', '-' and '+'"
        )


def _code(text: str) -> str:
    """A name as code in a cell of a Markdown table."""
    return "`" + text.replace("`", "'").replace("|", "\\|") + "`"


_TEMPLATES.filters["code"] = _code


def model_card(
    network: Network,
    programs: list[Program],
    differences: dict[str, float],
    run: Path | None,
    *,
    branches: tuple[str, ...],
    platforms: tuple[str, ...],
    onnx: bool,
    half: bool,
    license_id: str,
    calibrations: Sequence[Calibration] = (),
    tested_elsewhere: bool = False,
) -> str:
    """Returns the text, in Markdown with the Hugging Face hub's metadata.

    Args:
      network: the exported network.
      programs: the main one, then those that take no parsing maps.
      differences: file name -> its difference from the network, of the compared files.
      run: the folder of the evaluations, of which the last tables are shown. None:
        none.
      branches, platforms, onnx, half, license_id: as in `export_network`.
      calibrations: that the export has.
      tested_elsewhere: whether `run` is a folder of `--results`, which are of the
        weights as they are.
    """
    config = network.config
    written = bool(platforms or onnx)
    return _TEMPLATES.get_template("card.md").render(
        config=config,
        network=network,
        generated=_is_generated(config),
        trained_on=trained_title(config),
        backbones=[_backbone(config, branch) for branch in network.model.branches],
        programs=programs,
        without_maps=[
            f"`{program.name}.*`"
            if written
            else "those that the network predicts"
            if program.predicts
            else f"the {BRANCHES[program.embedding].title}"
            for program in programs[1:]
        ],
        platforms=platforms,
        differences=differences,
        onnx=onnx,
        half=half,
        license_id=license_id,
        written=written,
        options=_options(branches, platforms, onnx, half, license_id),
        stablehlo_ending=stablehlo.ENDING,
        onnx_ending=onnx_file.ENDING,
        output=onnx_file.OUTPUT,
        height=config.data.height,
        width=config.data.width,
        results=results_of(run, config, network.step) if run else [],
        calibrations=calibrations,
        tested_elsewhere=tested_elsewhere,
    )


def _is_generated(config: ConfigDict) -> bool:
    """Whether the people that the network was trained on are synthetic."""
    specs = [DATASETS.get(part.name) for part in parts_of(config.data).values()]
    return all(spec is not None and spec.make_folder is not None for spec in specs)


def _backbone(config: ConfigDict, branch: str) -> str:
    """A branch's backbone with its fields, in one line."""
    backbones = config.model.backbones
    of = owner(branch, backbones)
    fields = backbones[of]
    known = [name for name in BACKBONES[fields.name].fields if name in fields]
    shared = [f"shared with the {BRANCHES[of].title}"] if of != branch else []
    return ", ".join(
        [f"`{fields.name}`", *(f"{name} {fields[name]}" for name in known), *shared]
    )


def _options(
    branches: tuple[str, ...],
    platforms: tuple[str, ...],
    onnx: bool,
    half: bool,
    license_id: str,
) -> str:
    """The options of the command, as they are typed."""
    given = {
        f" --branches {','.join(branches)}": branches,
        f" --platforms {','.join(platforms)}": platforms,
        " --no-stablehlo": not platforms,
        " --no-onnx": not onnx,
        " --half": half,
        f" --license {license_id}": license_id,
    }
    return "".join(option for option, is_given in given.items() if is_given)
