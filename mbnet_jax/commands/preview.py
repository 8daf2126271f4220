"""Draws parsing maps over their images, to check that they are read correctly.

mbnet-preview --config configs/x.py [--config.FIELD=VALUE] [--out FILE.png]
    [--images 6]
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.commands import flags
from mbnet_jax.commands.cli import ConfigParser, run

_EXAMPLES = (
    "--config prcc --config.data.root=/data --config.data.parsing_dir=/data/parsing",
    "--config ltcc --config.data.root=/data --config.data.parsing_dir=/data/maps \\\n"
    "      --config.data.parsing_labels=lip --images 12 --out maps.png",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and draws the picture."""
    parser = ConfigParser(
        "preview",
        "Draws parsing maps over their images, to check that they are read correctly.",
        "--config NAME [--config.FIELD=VALUE ...] [--out FILE.png] [--images 6]",
        _EXAMPLES,
        ("data",),
    )
    parser.add(
        "--out",
        default="preview.png",
        metavar="FILE",
        help="the picture to write; preview.png unless given. With several "
        "datasets, one each: preview-NAME.png",
    )
    parser.add(
        "--images",
        type=flags.whole,
        default=6,
        metavar="N",
        help="number of images; 6 unless given",
    )
    run(parser, _preview, argv)


def _preview(config: ConfigDict, arguments: argparse.Namespace) -> None:
    from mbnet_jax.data.parts import configs_of
    from mbnet_jax.report.preview import preview

    out, parts = Path(arguments.out), configs_of(config)
    for name, part in parts.items():
        file = out.with_stem(f"{out.stem}-{name}") if len(parts) > 1 else out
        preview(part, file, arguments.images)


if __name__ == "__main__":
    main()
