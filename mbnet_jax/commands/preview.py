"""Draws parsing maps over their images, to check that they are read correctly.

mbnet-preview --config configs/x.py [--config.FIELD=VALUE] [--out FILE.png]
    [--images 6]
"""

from pathlib import Path

from absl import flags

from mbnet_jax.commands.cli import run
from mbnet_jax.report.preview import preview


def main() -> None:
    """Parses the flags and draws the picture."""
    out = flags.DEFINE_string("out", "preview.png", "The picture to write.")
    images = flags.DEFINE_integer("images", 6, "Number of images.")
    run(lambda config, workdir: preview(config, Path(out.value), images.value))


if __name__ == "__main__":
    main()
