"""Makes parsing maps with any segmentation model in ONNX form.

    mbnet-parse --config configs/x.py --model FILE.onnx --labels atr
        [--out DIR] [--size 512,512] [--mean ...] [--deviation ...]
        [--layout nchw|nhwc] [--batch 8]

The model takes normalised RGB images and returns class logits at any resolution. The
defaults are those of SegFormer clothes parsers. What is there already is kept, so a
run that was stopped goes on. Needs requirements-parse.txt.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from mbnet_jax.commands.cli import run
from mbnet_jax.data.make_maps import make_maps
from mbnet_jax.images import MEAN
from mbnet_jax.images import STD as DEVIATION
from mbnet_jax.parsing.segmenter import ParserOptions


def _numbers(texts: Sequence[str], name: str, kind: type) -> tuple:
    try:
        return tuple(kind(text) for text in texts)
    except ValueError as error:
        raise ValueError(f"--{name}={','.join(texts)}: expected numbers") from error


def main() -> None:
    """Reads the flags, and makes maps."""
    model = flags.DEFINE_string("model", "", "The ONNX file.")
    labels = flags.DEFINE_string("labels", "", "Its label set, never guessed.")
    out = flags.DEFINE_string("out", "", "Folder of the maps; data.parsing_dir.")
    size = flags.DEFINE_list("size", "512,512", "Height,width of its input.")
    mean = flags.DEFINE_list("mean", [*map(str, MEAN)], "Of RGB in 0..1.")
    deviation = flags.DEFINE_list("deviation", [*map(str, DEVIATION)], "Likewise.")
    layout = flags.DEFINE_string("layout", "nchw", "Or nhwc; of input and output.")
    batch = flags.DEFINE_integer("batch", 8, "Images at a time.")

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
            _numbers(deviation.value, "deviation", float),
            layout.value,
            batch.value,
        )
        count = make_maps(config, options, Path(folder))
        print(
            f"made {count} maps; look at them, then train with them:\n"
            "  python -m mbnet_jax.commands.preview --config ... "
            f"--config.data.parsing_dir={folder} "
            f"--config.data.parsing_labels={labels.value}"
        )

    run(parse)


if __name__ == "__main__":
    main()
