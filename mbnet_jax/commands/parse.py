"""Makes parsing maps with any segmentation model in ONNX form.

    mbnet-parse --config configs/x.py --model FILE.onnx --labels atr
        [--out DIR] [--size 512,512] [--mean R,G,B] [--std R,G,B]
        [--layout nchw|nhwc] [--batch 8]

The model takes normalised RGB images and returns class logits at any resolution. The
defaults are those of SegFormer clothes parsers. Existing maps are kept, so the same
command resumes after an interruption. Needs requirements-parse.txt.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from mbnet_jax.commands.cli import run
from mbnet_jax.data.make_maps import make_maps
from mbnet_jax.files import printable
from mbnet_jax.images import IMAGENET_MEAN, IMAGENET_STD
from mbnet_jax.parsing.options import ParserOptions


def _numbers(texts: Sequence[str], name: str, kind: type) -> tuple:
    try:
        return tuple(kind(text) for text in texts)
    except ValueError as error:
        example = "numbers, as in 0.5,0.5,0.5"
        if kind is int:
            example = "whole numbers, as in 512,256"
        given = ",".join(texts)[:60]
        raise ValueError(f"--{name}={given!r} must be {example}") from error


def main() -> None:
    """Parses the flags and makes maps."""
    model = flags.DEFINE_string("model", "", "The ONNX file.")
    labels = flags.DEFINE_string("labels", "", "The label set of its classes.")
    out = flags.DEFINE_string("out", "", "Folder of the maps; data.parsing_dir.")
    size = flags.DEFINE_list("size", "512,512", "HEIGHT,WIDTH of its input.")
    mean = flags.DEFINE_list("mean", [*map(str, IMAGENET_MEAN)], "Of RGB in 0..1.")
    std = flags.DEFINE_list("std", [*map(str, IMAGENET_STD)], "Of RGB in 0..1.")
    layout = flags.DEFINE_string("layout", "nchw", "Or nhwc; of input and output.")
    batch = flags.DEFINE_integer("batch", 8, "Images per batch.")

    def parse(config: ConfigDict, workdir: Path) -> None:
        del workdir
        folder = out.value or config.data.parsing_dir
        for name, value in (
            ("model FILE.onnx", model.value),
            ("labels lip|atr|pascal|canonical", labels.value),
            ("out DIR (or --config.data.parsing_dir)", folder),
        ):
            if not value:
                raise ValueError(f"give --{name}")
        options = ParserOptions(
            Path(model.value),
            labels.value,
            _numbers(size.value, "size", int),
            _numbers(mean.value, "mean", float),
            _numbers(std.value, "std", float),
            layout.value,
            batch.value,
        )
        count = make_maps(config, options, Path(folder))
        print(
            f"made {count} maps; look at them, then train with them:\n"
            f"  mbnet-preview --config ... "
            f"--config.data.parsing_dir={printable(folder)} "
            f"--config.data.parsing_labels={labels.value}"
        )

    run(parse)


if __name__ == "__main__":
    main()
