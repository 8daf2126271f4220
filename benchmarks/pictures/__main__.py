"""Draws what the whole network does on the test split, beside a baseline.

python -m benchmarks.pictures --whole runs/ablation/whole/0
    --baseline runs/ablation/baseline/0 [--out docs/evidence] [--data-root FOLDER]

OUT gets four pictures, each a JPEG below 250 KB:

right.jpg      queries that the whole network gets right and the baseline wrong: the
               nearest gallery images by each, under the clothes-changing rule
wrong.jpg      the other way round
gate.jpg       KTM's gate over people who changed clothes, one image of each outfit
attention.jpg  FAM's attention and CFM's over the other branches' views of those images

What is shown follows from the runs. Queries: of those whose nearest image is right by
one network and wrong by the other, the four of the largest difference in average
precision, at most one of each person; how many there are in all is printed, also in
the picture. People: those of right.jpg's queries, then those of the lowest numbers, up
to four. Images: one of each outfit, up to five, from the camera that shows the most of
the outfits. The folders are those of runs of train.py on the same data; where it no
longer lies where the runs' configs say, --data-root tells.
"""

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.pictures.choice import choose, images_of, people
from benchmarks.pictures.lists import draw_choice
from benchmarks.pictures.maps import compute_maps
from benchmarks.pictures.networks import compare
from benchmarks.pictures.people import draw_attention, draw_gate
from mbnet_jax.files import check_writable, write_whole


def main() -> None:
    """Parses the command line; bad input ends in one line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--whole", type=Path, required=True, help="folder of a run")
    parser.add_argument("--baseline", type=Path, required=True, help="of another")
    parser.add_argument("--out", type=Path, default=Path("docs/evidence"))
    parser.add_argument("--data-root", type=Path, help="in place of the saved one")
    arguments = parser.parse_args()
    try:
        made = pictures(arguments.whole, arguments.baseline, arguments.data_root)
        check_writable(arguments.out, "give another --out, or make room")
        for name, data in made.items():
            write_whole(arguments.out / name, data)
            print(f"wrote {arguments.out / name}, {len(data) / 1000:.0f} KB")
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def pictures(
    whole: Path, baseline: Path, data_root: Path | None = None
) -> dict[str, bytes]:
    """The four pictures by their files' names; prints how many queries there are.

    Raises:
      FileNotFoundError: if images are missing.
      ValueError: if the runs do not fit each other or what is to be drawn.
    """
    compared = compare(whole, baseline, data_root)
    first, second = compared.whole, compared.baseline
    pid = first.query.split.pid
    right = choose(first.metrics, second.metrics, pid)
    wrong = choose(second.metrics, first.metrics, pid)
    print(
        f"{compared.protocol.title}, {first.metrics.num_queries} queries with a true "
        f"match, nearest image right: by the {first.title} alone for {right.total} "
        f"({len(right.rows)} shown), by the {second.title} alone for {wrong.total} "
        f"({len(wrong.rows)} shown)"
    )
    chosen = people(pid[right.rows].tolist(), compared.splits)
    images = [images_of(person, compared.splits) for person in chosen]
    shown = compute_maps(first.network, [places for places, _ in images])
    notes = [
        "People: those of the queries in right.jpg, then those of the lowest numbers; "
        "of each outfit one image, from the camera that shows most of the outfits."
    ]
    if any(len(places) < outfits for places, outfits in images):
        notes.append(f"Of more than {len(images[0][0])} outfits the first are shown.")
    return {
        "gate.jpg": draw_gate(shown, notes),
        "attention.jpg": draw_attention(shown, notes),
        "right.jpg": draw_choice(compared, right, wrong, first, second),
        "wrong.jpg": draw_choice(compared, wrong, right, second, first),
    }


if __name__ == "__main__":
    main()
