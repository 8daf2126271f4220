"""The README of an export: what it takes, how well it did, how it is used."""

import json
from pathlib import Path

import jinja2

from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.evaluation.table import format_table
from mbnet_jax.export import onnx_file, stablehlo
from mbnet_jax.export.programs import Program
from mbnet_jax.runs.load import Trained

FILE = "README.md"
_METRICS = Path("eval", "metrics.json")  # of a run
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("mbnet_jax.export", "."),
    keep_trailing_newline=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


def model_card(
    trained: Trained,
    programs: list[Program],
    differences: dict[str, float],
    run: Path,
    *,
    platforms: tuple[str, ...],
    onnx: bool,
    half: bool,
    license_id: str,
) -> str:
    """The text, in Markdown with the Hugging Face hub's metadata.

    Args:
      differences: of the files that were compared with the network, by their names.
      run: the folder of the run, of whose last test the table is shown.
      platforms, onnx, half, license_id: what was asked of `export_network`.
    """
    config = trained.config
    return _TEMPLATES.get_template("card.md").render(
        config=config,
        trained=trained,
        programs=programs,
        platforms=platforms,
        differences=differences,
        onnx=onnx,
        half=half,
        license_id=license_id,
        written=bool(platforms or onnx),
        options=_options(config.eval.branches, platforms, onnx, half, license_id),
        stablehlo_ending=stablehlo.ENDING,
        onnx_ending=onnx_file.ENDING,
        output=onnx_file.OUTPUT,
        height=config.data.height,
        width=config.data.width,
        tested=tested(run / _METRICS, trained.step),
    )


def _options(
    branches: tuple[str, ...],
    platforms: tuple[str, ...],
    onnx: bool,
    half: bool,
    license_id: str,
) -> str:
    """Those of the command, as they are typed."""
    given = {
        f" --branches {','.join(branches)}": branches,
        f" --platforms {','.join(platforms)}": platforms,
        " --no-stablehlo": not platforms,
        " --no-onnx": not onnx,
        " --half": half,
        f" --license {license_id}": license_id,
    }
    return "".join(option for option, is_given in given.items() if is_given)


def tested(path: Path, step: int) -> str:
    """The table of a run's last test; "" if there is none of this checkpoint."""
    try:
        metrics = json.loads(path.read_text())
    except OSError:
        return ""
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} is damaged ({error}); test the run again, or delete it"
        ) from error
    if metrics["step"] != step:
        return ""
    protocols = [_protocol(entry) for entry in metrics["protocols"].values()]
    return format_table(metrics["results"], protocols)


def _protocol(entry: dict) -> Protocol:
    fields = {name: entry[name] for name in Protocol._fields}
    paper = fields["paper"]
    return Protocol(**fields | {"paper": paper and (paper["rank1"], paper["mAP"])})
