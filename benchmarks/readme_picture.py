"""Makes a picture of the README from an evaluation's ranked lists.

python -m benchmarks.readme_picture runs/NAME/eval/ranked_lists.png docs/NAME.jpg

Writes a JPEG of less than 250 KB, at most 1,250 pixels wide. Nothing is hand-picked:
the queries are spread evenly over the test split (`eval.figure_queries` of them).
"""

import argparse
import sys
from pathlib import Path

from PIL import Image

from benchmarks.pictures.layout import encoded
from mbnet_jax.files import write_whole

WIDTH = 1250  # pixels


def main() -> None:
    """Parses the command line; bad input ends in a one-line message."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("source", type=Path, help="the ranked_lists.png")
    parser.add_argument("out", type=Path, help="the JPEG to write")
    arguments = parser.parse_args()
    try:
        data = small_jpeg(arguments.source)
        write_whole(arguments.out, data)
    except OSError as error:
        sys.exit(f"error: {error}")
    print(f"wrote {arguments.out}, {len(data) / 1000:.0f} KB")


def small_jpeg(source: Path) -> bytes:
    """Returns the picture as a small JPEG.

    Raises:
      OSError: if `source` is missing or no picture.
    """
    with Image.open(source) as picture:
        picture = picture.convert("RGB")
    if picture.width > WIDTH:
        height = max(round(picture.height * WIDTH / picture.width), 1)
        picture = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    return encoded(picture)


if __name__ == "__main__":
    main()
