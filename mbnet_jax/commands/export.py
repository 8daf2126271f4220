"""Exports a trained network: a folder for the hub, for jax alone, for ONNX Runtime.

    python -m mbnet_jax.commands.export --model runs/prcc --out exported/prcc
        [--branches global,mask] [--checkpoint best|STEP] [--platforms cpu,cuda,tpu]
        [--no-stablehlo] [--no-onnx] [--half] [--license NAME]

The folder is there whole or not at all; an export that it holds is replaced. ONNX files
need requirements-export.txt.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import logging

from mbnet_jax.devices import compilation_cache
from mbnet_jax.export import stablehlo
from mbnet_jax.export.write import PLATFORMS, export_network
from mbnet_jax.runs.checkpoints import BEST, which_checkpoint


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def main(arguments: Sequence[str] | None = None) -> None:
    """Exports, and says what was written; bad input ends in one line."""
    parser = argparse.ArgumentParser(
        prog="python -m mbnet_jax.commands.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model",
        required=True,
        help="the folder of a run, of an export, or a Hugging Face hub id of one",
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument(
        "--branches", type=_names, default=(), help="those of the embedding; all"
    )
    parser.add_argument("--checkpoint", default=BEST, help="of the run; best")
    parser.add_argument(
        "--platforms",
        type=_names,
        default=PLATFORMS,
        help=f"of StableHLO, of {', '.join(stablehlo.PLATFORMS)}; "
        + ",".join(PLATFORMS),
    )
    parser.add_argument(
        "--stablehlo",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="StableHLO programs",
    )
    parser.add_argument(
        "--onnx", action=argparse.BooleanOptionalAction, default=True, help="ONNX files"
    )
    parser.add_argument(
        "--half",
        action="store_true",
        help="weights in half precision: half the file; all files are so rounded",
    )
    parser.add_argument(
        "--license", default="", help="of the weights, as the hub names it: apache-2.0"
    )
    args = parser.parse_args(arguments)
    logging.set_verbosity(logging.FATAL)  # Orbax repeats at length what it raises
    compilation_cache.enable()
    try:
        if args.stablehlo and not args.platforms:
            raise ValueError("--platforms names none; give some, or --no-stablehlo")
        differences = export_network(
            args.model,
            args.out,
            args.branches,
            which_checkpoint(args.checkpoint),
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
            note = f"  differs from the network by {differences[path.name]:.1e} at most"
        print(f"{path.stat().st_size / 1e6:9.2f} MB  {path}{note}")


if __name__ == "__main__":
    main()
