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

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from mbnet_jax.commands.cli import run
from mbnet_jax.data.load import images_folder
from mbnet_jax.data.make_maps import make_maps, make_maps_of
from mbnet_jax.files import printable
from mbnet_jax.parsing.load import parser_options
from mbnet_jax.parsing.options import ParserOptions
from mbnet_jax.parsing.presets import PRESETS
from mbnet_jax.parsing.segmenter import Parser
from mbnet_jax.report.preview import preview, preview_folder, sheet_path
from mbnet_jax.search.photographs import list_photographs

_SHOWN = 6  # images in the preview
_KNOWN = ", ".join(PRESETS)


def _numbers(texts: Sequence[str], name: str, kind: type) -> tuple:
    try:
        return tuple(kind(text) for text in texts)
    except ValueError as error:
        example = "numbers, as in 0.5,0.5,0.5"
        if kind is int:
            example = "whole numbers, as in 512,256"
        given = ",".join(texts)[:60]
        raise ValueError(f"--{name}={given!r} must be {example}") from error


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


def _of_dataset(config: ConfigDict, options: ParserOptions, out: Path | None) -> None:
    """Makes the maps of a config's dataset, and the preview."""
    if out is None:
        own = config.data.parsing_dir
        out = Path(own) if own else _beside(images_folder(config.data))
    count = make_maps(config, options, out)
    _report(count, options, out)
    config.data.parsing_dir, config.data.parsing_labels = str(out), options.labels
    preview(config, sheet_path(out), _SHOWN)
    print(
        "look at it (heads are yellow), then train with the maps:\n"
        f"  mbnet-train --config ... --config.data.parsing_dir={printable(out)} "
        f"--config.data.parsing_labels={options.labels}"
    )


def _of_folder(folder: Path, options: ParserOptions, out: Path | None) -> None:
    """Makes the maps of a folder of photographs, and the preview."""
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
        f"--parsing_labels {options.labels} --query ..."
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


def main() -> None:
    """Parses the flags and makes maps."""
    model = flags.DEFINE_string("model", "", f"A preset ({_KNOWN}) or an ONNX file.")
    preset = flags.DEFINE_string("preset", None, "The preset whose form a file has.")
    images = flags.DEFINE_string(
        "images", None, "A folder of photographs, in place of a config's dataset."
    )
    out = flags.DEFINE_string(
        "out",
        None,
        "Folder of the maps; data.parsing_dir, or beside the images' with -maps.",
    )
    revision = flags.DEFINE_string("revision", None, "Another commit of a preset's.")
    sha256 = flags.DEFINE_string("sha256", None, "What the model's file must have.")
    labels = flags.DEFINE_string("labels", None, "The label set of its classes.")
    size = flags.DEFINE_list("size", None, "HEIGHT,WIDTH of its input; 512,512.")
    mean = flags.DEFINE_list("mean", None, "Of RGB in 0..1; ImageNet's.")
    std = flags.DEFINE_list("std", None, "Of RGB in 0..1; ImageNet's.")
    layout = flags.DEFINE_string("layout", None, "nchw or nhwc, of input and output.")
    channels = flags.DEFINE_string("channels", None, "rgb or bgr, of its input.")
    fit = flags.DEFINE_string("fit", None, "stretch, or pad to keep the aspect.")
    output = flags.DEFINE_integer("output", None, "Which of its outputs, from 0.")
    batch = flags.DEFINE_integer("batch", None, "Images per batch; 8.")

    def given() -> dict:
        """The options that replace those of the preset."""
        plain = (labels, layout, channels, fit, output, batch)
        found = {flag.name: flag.value for flag in plain}
        for flag, kind in ((size, int), (mean, float), (std, float)):
            if flag.value is not None:
                found[flag.name] = _numbers(flag.value, flag.name, kind)
        return {name: value for name, value in found.items() if value is not None}

    def parse(config: ConfigDict | None, workdir: Path | None) -> None:
        del workdir
        _check_given(model.value, images.value, config)
        options = parser_options(
            model.value,
            preset.value,
            revision=revision.value,
            sha256=sha256.value,
            options=given(),
            flag="--model",
        )
        where = Path(out.value) if out.value else None
        if config is None:
            _of_folder(Path(images.value), options, where)
        else:
            _of_dataset(config, options, where)

    run(parse, needs_config=False)


if __name__ == "__main__":
    main()
