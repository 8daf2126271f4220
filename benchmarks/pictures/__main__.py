"""Draws what the whole network does on the test split, compared with a baseline.

python -m benchmarks.pictures --whole runs/ablation/whole/0
    --baseline runs/ablation/baseline/0 [--out docs/evidence] [--data-root FOLDER]

Writes four pictures to OUT, each a JPEG below 250 KB:

right.jpg      queries that the whole network gets right and the baseline wrong, with
               the nearest gallery images by each, under the clothes-changing rule
wrong.jpg      the opposite
gate.jpg       KTM's gate over people who changed clothes, one image per outfit
attention.jpg  FAM's and CFM's attention over the other branches' views of those images

What is shown follows fixed rules. Queries: the four with the largest difference in
average precision among those whose nearest image is right by one network and wrong by
the other, at most one per person; the number of all such queries is printed, and noted
in the picture. People: those of right.jpg's queries, then those with the lowest
numbers, up to four. Images: one per outfit, up to five, from the camera that shows the
most outfits. Both folders are of runs of train.py on the same data; --data-root names
the data's root if it has moved since.
"""

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.pictures.choice import (
    MOST_OUTFITS,
    choose,
    choose_images,
    choose_people,
)
from benchmarks.pictures.lists import draw_choice
from benchmarks.pictures.maps import compute_maps, draw_attention, draw_gate
from benchmarks.pictures.networks import compare
from mbnet_jax.files import check_writable, write_whole


def main() -> None:
    """Parses the command line; bad input ends in a one-line message."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--whole", type=Path, required=True, help="folder of a run")
    parser.add_argument("--baseline", type=Path, required=True, help="another run")
    parser.add_argument("--out", type=Path, default=Path("docs/evidence"))
    parser.add_argument("--data-root", type=Path, help="replaces the runs' data.root")
    arguments = parser.parse_args()
    try:
        files = pictures(arguments.whole, arguments.baseline, arguments.data_root)
        check_writable(arguments.out, "give another --out, or make room")
        for name, data in files.items():
            write_whole(arguments.out / name, data)
            print(f"wrote {arguments.out / name}, {len(data) / 1000:.0f} KB")
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def pictures(
    whole: Path, baseline: Path, data_root: Path | None = None
) -> dict[str, bytes]:
    """Returns the four pictures by file name; prints the numbers of queries.

    Raises:
      FileNotFoundError: if images are missing.
      ValueError: if the runs are on different data, or lack a module that is drawn.
    """
    comparison = compare(whole, baseline, data_root)
    first, second = comparison.whole, comparison.baseline
    pid = first.query.split.pid
    right = choose(first.metrics, second.metrics, pid)
    wrong = choose(second.metrics, first.metrics, pid)
    print(
        f"{comparison.protocol.title}, {first.metrics.num_queries} queries with a true "
        f"match, nearest image right: by the {first.title} alone for {right.total} "
        f"({len(right.rows)} shown), by the {second.title} alone for {wrong.total} "
        f"({len(wrong.rows)} shown)"
    )
    people = choose_people(pid[right.rows].tolist(), comparison.splits)
    images = [choose_images(person, comparison.splits) for person in people]
    maps = compute_maps(first.network, [chosen for chosen, _ in images])
    notes = [
        "People: those of the queries in right.jpg, then those with the lowest "
        "numbers; one image per outfit, from the camera that shows the most outfits."
    ]
    if any(len(chosen) < outfits for chosen, outfits in images):
        notes.append(f"Only the first {MOST_OUTFITS} outfits are shown.")
    return {
        "gate.jpg": draw_gate(maps, notes),
        "attention.jpg": draw_attention(maps, notes),
        "right.jpg": draw_choice(comparison, right, wrong, first, second),
        "wrong.jpg": draw_choice(comparison, wrong, right, second, first),
    }


if __name__ == "__main__":
    main()
