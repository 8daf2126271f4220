"""Fits narrower embeddings of a trained network, and shows what they lose.

    mbnet-narrow --model runs/prcc --width 512,256,128 [--whiten] [--out DIR]

The principal components are those of the persons trained on; the scores those of the
test split. Writes narrow-WIDTH.safetensors for each width, which
`mbnet-search --index URI --narrow FILE` takes; docs/vector_index.md.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mbnet_jax.commands import flags
from mbnet_jax.files import check_writable
from mbnet_jax.sources import check_folder_or_hub

_EXAMPLES = (
    "--model runs/synthetic --width 256",
    "--model runs/prcc --width 512,256,128 --whiten --out narrow",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Fits, evaluates and writes; exits with one line for bad input."""
    parser = flags.Parser(
        "narrow",
        "Fits narrower embeddings of a trained network, and shows what they lose.",
        "--model DIR --width NUMBERS [--whiten] [--out DIR]",
        _EXAMPLES,
    )
    parser.add("--model", required=True, metavar="DIR", help="a run's folder")
    parser.add_list(
        "--width",
        kind=flags.whole,
        required=True,
        metavar="NUMBERS",
        help="how many numbers an embedding shall have, as in 512,256",
    )
    parser.add_switch("--whiten", False, "give every component the same variance")
    parser.add_list(
        "--branches",
        metavar="NAMES",
        help="branches to combine, as in global,mask; by default the evaluation's",
    )
    parser.add(
        "--out",
        type=flags.path,
        metavar="DIR",
        help="the folder of the files; the run's unless given",
    )
    with flags.ending_in_one_line("give fewer branches"):
        _narrow(parser.arguments(argv))


def _narrow(arguments: argparse.Namespace) -> None:
    widths = sorted({*arguments.width}, reverse=True)
    if not widths or widths[-1] < 1:
        raise ValueError("--width must name whole numbers from 1, as in 512,256")
    check_folder_or_hub(arguments.model)
    # Not before: jax takes seconds, wrong arguments are refused at once.
    from mbnet_jax.api import Run
    from mbnet_jax.data import load_dataset
    from mbnet_jax.data.parts import configs_of
    from mbnet_jax.data.variants import with_variants
    from mbnet_jax.devices.mesh import make_mesh
    from mbnet_jax.index.narrow import save
    from mbnet_jax.index.widths import evaluate_widths, fit_widths

    flags.prepare()
    mesh = make_mesh()
    run = Run(arguments.model, mesh)
    config = with_variants(run.config)
    if arguments.branches:
        config = config.copy_and_resolve_references()
        config.eval.branches = arguments.branches
    out = arguments.out or Path(arguments.model)
    check_writable(out, "free space, change its permissions or give another --out")
    dataset = load_dataset(config)
    network = run.load(mesh)
    narrowings = fit_widths(config, network, dataset, widths, arguments.whiten, mesh)
    for name, part in configs_of(config).items():
        own = dataset.parts.get(name, dataset)
        results = evaluate_widths(part, network, own, narrowings, mesh)
        title = f"{name}/" * bool(dataset.parts)
        for protocol, values in results.items():
            _print(f"{title}{protocol}", values)
    for width, narrowing in narrowings.items():
        path = out / f"narrow-{width}{'-whitened' * narrowing.whitened}.safetensors"
        save(narrowing, path)
        print(f"{path.stat().st_size / 1e6:9.2f} MB  {path}")


def _print(protocol: str, values: dict[str, dict[str, float]]) -> None:
    """Prints a protocol's scores: a line for each width, per cent."""
    rank = next(iter(values["full"])).replace("rank", "Rank-")
    print(f"\n{protocol:<24}{rank:>8}{'mAP':>8}{'loss of mAP':>14}")
    best = values["full"]["mAP"]
    for name, scores in values.items():
        loss = (
            "" if name in ("full", "chance") else f"{100 * (best - scores['mAP']):.1f}"
        )
        first = next(iter(scores.values()))
        print(f"  {name:<22}{100 * first:8.1f}{100 * scores['mAP']:8.1f}{loss:>14}")


if __name__ == "__main__":
    main()
