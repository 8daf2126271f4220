"""Makes parsing maps with a public human parser, or another model in ONNX form.

    mbnet-parse --model segformer --config configs/x.py
    mbnet-parse --model segformer --images PHOTOS
    mbnet-parse --model FILE.onnx --preset schp-lip ...
    mbnet-parse --model FILE.onnx --labels atr [--size 512,512] [--mean R,G,B]
        [--std R,G,B] [--layout nchw|nhwc] [--channels rgb|bgr] [--fit stretch|pad]
        [--output 0] ...

A preset's file is downloaded once, after its licence was shown. The maps go to --out,
with a picture to check them by. Existing maps are kept, so the same command resumes
after an interruption. Needs requirements-parse.txt.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.commands import flags
from mbnet_jax.commands.cli import ConfigParser, run
from mbnet_jax.files import printable
from mbnet_jax.parsing.options import ParserOptions
from mbnet_jax.parsing.presets import PRESETS

_SHOWN = 6  # images in the preview
_KNOWN = ", ".join(PRESETS)
_EXAMPLES = (
    "--model segformer --images photos",
    "--model segformer --config prcc --config.data.root=/data",
    "--model schp.onnx --preset schp-lip --images photos --out maps",
    "--model own.onnx --labels atr --size 512,256 --mean 0.5,0.5,0.5 \\\n"
    "      --std 0.5,0.5,0.5 --images photos",
)
# Flags that replace what a preset says of a model.
_FORM = ("labels", "layout", "channels", "fit", "output", "batch")
_FORM += ("size", "mean", "std")


def _check_given(model: str, images: str | None, config: ConfigDict | None) -> None:
    """Refuses a command without model or images, before anything is downloaded."""
    if not model:
        raise ValueError(
            f"give --model: a preset ({_KNOWN}), as in --model segformer, or an ONNX "
            "file"
        )
    if config is None and images is None:
        raise ValueError(
            "give the images: --config NAME for those of a config's dataset, or "
            "--images FOLDER for photographs"
        )
    if config is not None and images is not None:
        raise ValueError("--config and --images both name images; leave one out")
    if images is not None and not Path(images).is_dir():
        raise FileNotFoundError(f"no such folder: --images={images}")


def _of_datasets(config: ConfigDict, options: ParserOptions, out: Path | None) -> None:
    """Makes the maps of a config's datasets, each with a preview."""
    from mbnet_jax.data.load import images_folder
    from mbnet_jax.data.make_maps import make_maps
    from mbnet_jax.data.parts import configs_of
    from mbnet_jax.report.preview import preview, sheet_path

    parts = configs_of(config)
    if out is not None and len(parts) > 1:
        raise ValueError(
            f"--out={out} is a folder for one dataset, and data.name={(*parts,)} names "
            f"{len(parts)}; leave it out, or give data.parts.NAME.parsing_dir of each"
        )
    given = []
    for name, part in parts.items():
        data = part.data
        folder = out or Path(data.parsing_dir or _beside(images_folder(data)))
        count = make_maps(part, options, folder)
        _report(count, options, folder)
        data.parsing_dir, data.parsing_labels = str(folder), options.labels
        preview(part, sheet_path(folder), _SHOWN)
        flag = f"--config.data.parts.{name}" if len(parts) > 1 else "--config.data"
        given.append(
            f"{flag}.parsing_dir={printable(folder)} "
            f"{flag}.parsing_labels={options.labels}"
        )
    joined = " \\\n    ".join(given)
    print(
        "look at it (heads are yellow), then train with the maps:\n"
        f"  mbnet-train --config ... {joined}"
    )


def _of_folder(folder: Path, options: ParserOptions, out: Path | None) -> None:
    """Makes the maps of a folder of photographs, and the preview."""
    from mbnet_jax.data.make_maps import make_maps_of
    from mbnet_jax.parsing.segmenter import Parser
    from mbnet_jax.report.preview import preview_folder
    from mbnet_jax.search.photographs import list_photographs

    folder = Path(os.path.normpath(folder))
    out = out or _beside(folder)
    if os.path.realpath(out) == os.path.realpath(folder):
        raise ValueError(
            f"--out={out} is the folder of the photographs, where maps would be taken "
            "for photographs; give another --out"
        )
    names, failures = list_photographs(folder, without=[out])
    for name, why in failures:
        print(f"warning: {printable(name)} is left out: {why}", file=sys.stderr)
    if not names:
        raise ValueError(f"{printable(folder)} and its sub-folders hold no photograph")
    images = [folder / name for name in names]
    count = make_maps_of(images, folder, Parser(options), out)
    _report(count, options, out)
    sheet = preview_folder(images, folder, out, options.labels, _SHOWN)
    print(
        f"wrote {printable(sheet)}\nlook at it (heads are yellow), then search with "
        "the maps:\n"
        f"  mbnet-search --gallery {printable(folder)} --parsing {printable(out)} "
        f"--parsing-labels {options.labels} --query ..."
    )


def _beside(folder: Path) -> Path:
    """The folder of maps beside that of their images."""
    named = folder if folder.name not in ("", "..") else folder.resolve()
    if not named.name:
        raise ValueError(f"nothing is beside {folder}: give --out")
    return named.with_name(f"{named.name}-maps")


def _report(count: int, options: ParserOptions, out: Path) -> None:
    print(f"made {count} maps in {printable(out)} with {printable(options.model)}")
    if options.address:
        print(f"  from {options.address}")


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and makes maps."""
    parser = ConfigParser(
        "parse",
        "Makes parsing maps with a public human parser, or another model in ONNX form.",
        "--model NAME (--images DIR | --config NAME) [--out DIR]",
        _EXAMPLES,
        ("data",),
        needs_config=False,
    )
    add, add_list = parser.add, parser.add_list
    add(
        "--model",
        metavar="NAME",
        default="",
        help=f"a preset, downloaded once ({_KNOWN}), or an ONNX file",
    )
    add(
        "--images",
        metavar="DIR",
        help="a folder of photographs, in place of a config's dataset",
    )
    add(
        "--out",
        metavar="DIR",
        help="folder of the maps; data.parsing_dir, or beside the images' with -maps",
    )
    add("--preset", metavar="NAME", help="the preset whose form an ONNX file has")
    add("--revision", metavar="COMMIT", help="another commit of a preset's repository")
    add("--sha256", metavar="DIGITS", help="what the model's file must have")
    add("--labels", metavar="SET", help="label set of its classes: lip, atr or pascal")
    size = {"kind": flags.whole, "metavar": "HEIGHT,WIDTH"}
    add_list("--size", **size, help="of its input; 512,512 unless given")
    colours = {"kind": flags.number, "metavar": "R,G,B"}
    add_list("--mean", **colours, help="of RGB in 0..1; ImageNet's unless given")
    add_list("--std", **colours, help="of RGB in 0..1; ImageNet's unless given")
    add("--layout", metavar="LAYOUT", help="nchw, as usual, or nhwc")
    add("--channels", metavar="ORDER", help="of its input: rgb, as usual, or bgr")
    add("--fit", metavar="HOW", help="stretch, as usual, or pad to keep the aspect")
    add(
        "--output",
        type=flags.whole,
        metavar="I",
        help="which of its outputs, from 0, which is usual",
    )
    add(
        "--batch",
        type=flags.whole,
        metavar="N",
        help="images per batch; 8 unless given",
    )
    run(parser, _parse, argv)


def _parse(config: ConfigDict | None, arguments: argparse.Namespace) -> None:
    from mbnet_jax.parsing.load import parser_options

    _check_given(arguments.model, arguments.images, config)
    form = {name: getattr(arguments, name) for name in _FORM}
    options = parser_options(
        arguments.model,
        arguments.preset,
        revision=arguments.revision,
        sha256=arguments.sha256,
        options={name: value for name, value in form.items() if value is not None},
        flag="--model",
    )
    out = Path(arguments.out) if arguments.out else None
    if config is None:
        _of_folder(Path(arguments.images), options, out)
    else:
        _of_datasets(config, options, out)


if __name__ == "__main__":
    main()
