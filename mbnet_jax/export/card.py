"""The README of an export: its inputs and outputs, its results, how to use it."""

import os
import re
from pathlib import Path

import jinja2
from ml_collections import ConfigDict

from mbnet_jax.backbones import BACKBONES
from mbnet_jax.data import DATASETS, Protocol
from mbnet_jax.data.parts import names_of, parts_of, trained_title
from mbnet_jax.evaluation.table import format_table
from mbnet_jax.export import onnx_file, stablehlo
from mbnet_jax.export.programs import Program
from mbnet_jax.models import BRANCHES
from mbnet_jax.models.branches import owner
from mbnet_jax.runs.metrics_file import METRICS, read_metrics
from mbnet_jax.runs.network import Network
from mbnet_jax.runs.tested import folder_name

FILE = "README.md"
_METRICS = Path("eval", METRICS)  # of a run
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
    run: Path,
    *,
    branches: tuple[str, ...],
    platforms: tuple[str, ...],
    onnx: bool,
    half: bool,
    license_id: str,
) -> str:
    """Returns the text, in Markdown with the Hugging Face hub's metadata.

    Args:
      network: the exported network.
      programs: the main one, then those that take no parsing maps.
      differences: file name -> its difference from the network, of the compared files.
      run: the run's folder; the table of its last evaluation is shown.
      branches, platforms, onnx, half, license_id: as of `export_network`.
    """
    config = network.config
    written = bool(platforms or onnx)
    return _TEMPLATES.get_template("card.md").render(
        config=config,
        network=network,
        generated=_is_generated(config),
        trained_on=trained_title(config.data),
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
        results=_results(run, config, network.step),
    )


def _results(run: Path, config: ConfigDict, step: int) -> str:
    """The table of the last evaluation on each dataset that was trained on."""
    names = names_of(config.data)
    if len(names) == 1:
        return results_table(run / _METRICS, step)
    tables = []
    for name in names:
        path = run / _METRICS.with_name(folder_name(name)) / METRICS
        if table := results_table(path, step):
            tables.append(f"{name}\n\n{table}")
    return "\n\n".join(tables)


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


def results_table(path: Path, step: int) -> str:
    """Returns the table of a run's last evaluation; "" if it is of another step.

    Args:
      path: the evaluation's `metrics.json`; it may be missing.
      step: of training, of the exported checkpoint.

    Raises:
      ValueError: if the file is damaged.
    """
    if not os.path.lexists(path):
        return ""
    metrics = read_metrics(path)
    if metrics["step"] != step:
        return ""
    protocols = [_protocol(entry) for entry in metrics["protocols"].values()]
    return format_table(metrics["results"], protocols)


def _protocol(entry: dict) -> Protocol:
    fields = {name: entry[name] for name in Protocol._fields}
    paper = fields["paper"] or None
    return Protocol(**fields | {"paper": paper and (paper["rank1"], paper["mAP"])})
