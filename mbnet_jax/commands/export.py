"""Exports a trained network: a folder for the hub, for jax alone, for ONNX Runtime.

    mbnet-export --model runs/prcc --out exported/prcc [--branches global,mask]
        [--checkpoint best|STEP] [--platforms cpu,cuda,tpu] [--no-stablehlo]
        [--no-onnx] [--half] [--license NAME] [--results DIR] [--mean DIR]
        [--image-parser DIR]

The folder is written completely or not at all; an earlier export there is replaced.
ONNX files need requirements-export.txt.
"""

import argparse
from collections.abc import Sequence

from mbnet_jax.commands import export_flags, flags
from mbnet_jax.sources import check_folder_or_hub

_EXAMPLES = (
    "--model runs/synthetic --out exported/synthetic",
    "--model runs/prcc --out exported/prcc --branches global,mask --half",
    "--model runs/prcc --out exported/prcc --no-stablehlo --license apache-2.0",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Exports, and lists the files written; exits with one line for bad input."""
    parser = flags.Parser(
        "export",
        "Exports a trained network: a folder for the hub, for jax alone, for ONNX "
        "Runtime.",
        "--model DIR --out DIR [--branches NAMES] [--no-stablehlo] [--no-onnx]",
        _EXAMPLES,
    )
    export_flags.add_folders(parser)
    parser.add_list(
        "--branches",
        metavar="NAMES",
        help="branches to combine, as in global,mask; by default the evaluation's",
    )
    parser.add(
        "--checkpoint",
        default="best",
        metavar="STEP",
        help="a step of the run, or best, which is the default",
    )
    parser.add_list(
        "--platforms",
        metavar="NAMES",
        help="of the StableHLO programs, of cpu,cuda,rocm,tpu; by default all but rocm",
    )
    parser.add_switch("--stablehlo", True, "write StableHLO programs")
    parser.add_switch("--onnx", True, "write ONNX files")
    export_flags.add_weights(parser)
    parser.add(
        "--results",
        type=flags.path,
        metavar="DIR",
        help="where mbnet-eval --out wrote the results that the card shows, and the "
        "calibration; by default the model's folder",
    )
    parser.add(
        "--mean",
        default="",
        metavar="DIR",
        help="another network, from which the training started, or which started "
        "from the model or where it did: the means of both networks' weights are "
        "exported",
    )
    parser.add(
        "--image-parser",
        default="",
        metavar="DIR",
        help="another network, whose image parser takes the place of the model's",
    )
    with flags.ending_in_one_line("export on a machine with more memory"):
        _export(parser.arguments(argv))


def _export(arguments: argparse.Namespace) -> None:
    if arguments.branches is not None and not arguments.branches:
        raise ValueError("--branches is empty; give some, or leave it out")
    if not arguments.model:
        raise ValueError("--model is empty; give a run's folder, or an export")
    for source in filter(
        None, (arguments.model, arguments.mean, arguments.image_parser)
    ):
        check_folder_or_hub(source)
    if arguments.stablehlo and arguments.platforms == ():
        raise ValueError("--platforms is empty; give some, or --no-stablehlo")
    # Not before: jax takes seconds, wrong arguments are refused at once.
    from mbnet_jax.export import stablehlo
    from mbnet_jax.export.write import PLATFORMS, export_network
    from mbnet_jax.runs.checkpoints import parse_checkpoint

    flags.prepare()
    platforms = PLATFORMS if arguments.platforms is None else arguments.platforms
    stablehlo.check_platforms(platforms)
    differences = export_network(
        arguments.model,
        arguments.out,
        arguments.branches or (),
        parse_checkpoint(arguments.checkpoint),
        platforms if arguments.stablehlo else (),
        arguments.onnx,
        arguments.half,
        arguments.license,
        arguments.results,
        arguments.mean,
        arguments.image_parser,
    )
    for path in sorted(arguments.out.iterdir()):
        note = ""
        if path.name in differences:
            note = f"  differs from the network by at most {differences[path.name]:.1e}"
        print(f"{path.stat().st_size / 1e6:9.2f} MB  {path}{note}")


if __name__ == "__main__":
    main()
