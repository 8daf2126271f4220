"""Makes parsing maps with any segmentation model in ONNX form.

    mbnet-parse --config configs/x.py --model FILE.onnx --labels atr
        [--out DIR] [--size 512,512] [--mean R,G,B] [--std R,G,B]
        [--layout nchw|nhwc] [--batch 8]

The model takes normalised RGB images and returns class logits at any resolution. The
defaults are those of SegFormer clothes parsers. Existing maps are kept, so the same
command resumes after an interruption. Needs requirements-parse.txt.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.commands import flags
from mbnet_jax.commands.cli import ConfigParser, run
from mbnet_jax.files import printable
from mbnet_jax.images import IMAGENET_MEAN, IMAGENET_STD

_EXAMPLES = (
    "--config prcc --config.data.root=/data --model segformer.onnx --labels atr \\\n"
    "      --out /data/parsing",
    "--config ltcc --config.data.root=/data --model schp.onnx --labels lip \\\n"
    "      --size 473,473 --out /data/maps",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and makes maps."""
    parser = ConfigParser(
        "parse",
        "Makes parsing maps with any segmentation model in ONNX form.",
        "--model FILE.onnx --labels SET [--out DIR] [--config.FIELD=VALUE ...]",
        _EXAMPLES,
        ("data",),
    )
    add, add_list = parser.add, parser.add_list
    add("--model", default="", metavar="FILE", help="the ONNX file")
    add("--labels", default="", metavar="SET", help="label set: lip, atr or pascal")
    add("--out", default="", metavar="DIR", help="of the maps; data.parsing_dir")
    size = {"kind": flags.whole, "default": (512, 512), "metavar": "HEIGHT,WIDTH"}
    add_list("--size", **size, help="of the model's input; 512,512 unless given")
    for flag, default in (("--mean", IMAGENET_MEAN), ("--std", IMAGENET_STD)):
        add_list(
            flag,
            kind=flags.number,
            default=default,
            metavar="R,G,B",
            help="of RGB in 0..1; ImageNet's unless given",
        )
    add("--layout", default="nchw", help="nchw, the default, or nhwc")
    add("--batch", type=flags.whole, default=8, help="images per batch; 8")
    run(parser, _parse, argv)


def _parse(config: ConfigDict, arguments: argparse.Namespace) -> None:
    from mbnet_jax.data.make_maps import make_maps
    from mbnet_jax.parsing.options import ParserOptions

    folder = arguments.out or config.data.parsing_dir
    for name, value in (
        ("model FILE.onnx", arguments.model),
        ("labels lip|atr|pascal|canonical", arguments.labels),
        ("out DIR (or --config.data.parsing_dir)", folder),
    ):
        if not value:
            raise ValueError(f"give --{name}")
    options = ParserOptions(
        Path(arguments.model),
        arguments.labels,
        arguments.size,
        tuple(arguments.mean),
        tuple(arguments.std),
        arguments.layout,
        arguments.batch,
    )
    count = make_maps(config, options, Path(folder))
    print(
        f"made {count} maps; look at them, then train with them:\n"
        f"  mbnet-preview --config ... --config.data.parsing_dir={printable(folder)} "
        f"--config.data.parsing_labels={arguments.labels}"
    )


if __name__ == "__main__":
    main()
