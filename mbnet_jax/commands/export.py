"""Exports a trained network: a folder for the hub, for jax alone, for ONNX Runtime.

    mbnet-export --model runs/prcc --out exported/prcc [--branches global,mask]
        [--checkpoint best|STEP] [--platforms cpu,cuda,tpu] [--no-stablehlo]
        [--no-onnx] [--half] [--license NAME]

The folder is written completely or not at all; an earlier export there is replaced.
ONNX files need requirements-export.txt.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import logging

from mbnet_jax.devices import compilation_cache
from mbnet_jax.export import stablehlo
from mbnet_jax.export.write import PLATFORMS, export_network
from mbnet_jax.runs.checkpoints import BEST, parse_checkpoint


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def main(argv: Sequence[str] | None = None) -> None:
    """Exports, and lists the files written; exits with one line for bad input."""
    parser = argparse.ArgumentParser(
        prog="mbnet-export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model",
        required=True,
        help="a run's folder, an export's folder, or the Hugging Face hub id of one",
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument(
        "--branches",
        type=_names,
        help="branches to combine; by default the evaluation's",
    )
    parser.add_argument(
        "--checkpoint", default=BEST, help="best, the default, or a step of the run"
    )
    parser.add_argument(
        "--platforms",
        type=_names,
        default=PLATFORMS,
        help=f"platforms of the StableHLO programs, of "
        f"{', '.join(stablehlo.PLATFORMS)}; by default {','.join(PLATFORMS)}",
    )
    parser.add_argument(
        "--stablehlo",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="write StableHLO programs",
    )
    parser.add_argument(
        "--onnx",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="write ONNX files",
    )
    parser.add_argument(
        "--half",
        action="store_true",
        help="round the weights to half precision, which halves their file",
    )
    parser.add_argument(
        "--license",
        default="",
        help="the weights' licence, as the hub names it: apache-2.0",
    )
    args = parser.parse_args(argv)
    logging.set_verbosity(logging.FATAL)  # Orbax logs at length what it raises
    compilation_cache.enable()
    try:
        if args.branches is not None and not args.branches:
            raise ValueError("--branches is empty; give some, or leave it out")
        if not args.model:
            raise ValueError("--model is empty; give a run's folder, or an export")
        if args.stablehlo and not args.platforms:
            raise ValueError("--platforms is empty; give some, or --no-stablehlo")
        stablehlo.check_platforms(args.platforms)
        differences = export_network(
            args.model,
            args.out,
            args.branches or (),
            parse_checkpoint(args.checkpoint),
            args.platforms if args.stablehlo else (),
            args.onnx,
            args.half,
            args.license,
        )
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    for path in sorted(args.out.iterdir()):
        note = ""
        if path.name in differences:
            note = f"  differs from the network by at most {differences[path.name]:.1e}"
        print(f"{path.stat().st_size / 1e6:9.2f} MB  {path}{note}")


if __name__ == "__main__":
    main()
