"""Fits the combination of a trained network's branches, and exports the network.

    mbnet-combine --config synthetic_many --model runs/synthetic_many --out combined

A linear projection of all branches' embeddings is fitted on the images that the network
was trained on, and chosen on the people held out; docs/method.md. With --add, a branch
is added to the projection that the network has, and they choose its weight. The folder
is an export without programs: `mbnet-eval`, `mbnet-search` and `mbnet-export` take it.
"""

import argparse
from collections.abc import Sequence
from functools import partial

from ml_collections import ConfigDict

from mbnet_jax.commands import export_flags, flags
from mbnet_jax.commands.cli import ConfigParser, run
from mbnet_jax.sources import check_folder_or_hub

_EXAMPLES = (
    "--config synthetic --model runs/synthetic --out combined",
    "--config ltcc --config.data.root=/data --model runs/ltcc --out combined --half",
)
_WIDTH = 256  # of the combined embedding


def main(argv: Sequence[str] | None = None) -> None:
    """Fits, prints the scores of people held out, and writes the export."""
    parser = ConfigParser(
        "combine",
        "Fits a projection of a trained network's branches, or adds a branch to it, as "
        "is best for people held out, and exports the network with it.",
        "--config NAME --model DIR --out DIR [--width N | --add BRANCH] "
        "[--config.FIELD=VALUE ...]",
        _EXAMPLES,
        ("data",),
    )
    export_flags.add_folders(parser)
    parser.add(
        "--width",
        type=flags.whole,
        metavar="N",
        help="how many numbers the combined embedding shall have; 256 unless given",
    )
    parser.add(
        "--add",
        default="",
        metavar="BRANCH",
        help="adds a branch to the projection that the network has, rather than fit "
        "another; people held out choose its weight",
    )
    export_flags.add_weights(parser)
    run(parser, _combine, argv, _check)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.add and arguments.width is not None:
        raise ValueError(
            f"--width={arguments.width} has no use with --add, which keeps the width "
            "of the network's projection; leave one of them out"
        )
    check_folder_or_hub(arguments.model)


def _combine(config: ConfigDict, arguments: argparse.Namespace) -> None:
    from mbnet_jax.data import load_dataset
    from mbnet_jax.data.variants import with_variants
    from mbnet_jax.devices.mesh import make_mesh
    from mbnet_jax.export.folder import check_out, resolved
    from mbnet_jax.export.write import export_network
    from mbnet_jax.runs.load import load
    from mbnet_jax.training.combination import (
        best_combination,
        of_network,
        with_projection,
    )

    check_out(resolved(arguments.out))
    mesh = make_mesh()
    network = load(arguments.model, mesh)
    config = of_network(network.config, with_variants(config))
    dataset = load_dataset(config)
    width = _WIDTH if arguments.width is None else arguments.width
    found = best_combination(config, network, dataset, width, mesh, arguments.add)
    print(table(found.scores))
    print(
        f"chosen: {found.title}, whose least gain on the best branch and on equal "
        f"weights is {100 * found.gain:+.1f}"
    )
    if found.gain < 0:
        print(
            "warning: no projection gains in every test; perhaps too few people were "
            "trained on or held out. Test it beside equal weights"
        )
    export_network(
        arguments.model,
        arguments.out,
        platforms=(),
        onnx=False,
        half=arguments.half,
        license_id=arguments.license,
        change=partial(with_projection, kernel=found.kernel),
    )
    print(f"written: {arguments.out}")


def table(scores: dict[str, dict[str, float]]) -> str:
    """The mAP of people held out, per cent: a line for each candidate."""
    tests = [*next(iter(scores.values()))]
    title = "mAP of people held out"
    width = max(map(len, (title, *scores)))
    lines = [f"{title:<{width}}" + "".join(f"{test:>18}" for test in tests)]
    for name, of in scores.items():
        lines.append(
            f"{name:<{width}}" + "".join(f"{100 * of[t]:18.1f}" for t in tests)
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
