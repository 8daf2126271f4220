"""Checks of a dataset on disk, before anything is trained on it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.records import Record, Records
from mbnet_jax.images import read_image
from mbnet_jax.parsing.maps import check_map
from mbnet_jax.progress import progress
from mbnet_jax.retrieval.labels import JUNK

_SHOWN = 100  # files in a message


def count_warnings(spec: DatasetSpec, records: Records, variant: str = "") -> list[str]:
    """A line for each split whose counts differ from the published ones."""
    lines = []
    counts = spec.variant_counts.get(variant, spec.counts)
    for split, (images, persons) in counts.items():
        # Junk takes no part, so whether it is there changes no figure.
        persons_of = [r.pid for r in records[split] if r.pid != JUNK]
        found = len(persons_of), len({*persons_of})
        if (images or found[0], persons or found[1]) != found:
            published = f"{images} of {persons}"
            if images is None or persons is None:
                published = f"{persons} persons" if persons else f"{images} images"
            lines.append(
                f"{spec.name} {split}: {found[0]} images of {found[1]} persons here, "
                f"{published} as published; figures will not compare"
            )
    for split, tracklets in spec.tracklet_counts.items():
        found = len({r.tracklet for r in records[split]})
        if found != tracklets:
            lines.append(
                f"{spec.name} {split}: {found} tracklets here, {tracklets} as "
                "published; figures will not compare"
            )
    return lines


def check_files(
    records: Records, threads: int = 4, label_set: str | None = None
) -> None:
    """Decodes every image and every parsing map, as the loader does.

    Args:
      records: of the whole dataset.
      threads: that decode.
      label_set: of the parsing maps. None: their labels are not checked.

    Raises:
      ValueError: listing all files that cannot be read or decoded, or do not fit.
    """
    rows = [r for split in records.values() for r in split]
    files = len(rows) + sum(row.parsing_path is not None for row in rows)
    bad = []
    with (
        ThreadPoolExecutor(threads) as pool,
        progress(len(rows), "checking", unit="image") as bar,
    ):
        for found in pool.map(lambda row: [*_problems(row, label_set)], rows):
            bad += found
            bar.update()
    if bad:
        shown = bad[:_SHOWN] + [f"and {len(bad) - _SHOWN} more"] * (len(bad) > _SHOWN)
        raise ValueError(
            f"{len(bad)} of {files} files cannot be used:\n  "
            + "\n  ".join(shown)
            + "\nReplace them (unpack the dataset again), or remove them."
        )


def _problems(record: Record, label_set: str | None) -> Iterator[str]:
    """What is wrong with an image and its map."""
    size = None
    try:
        size = read_image(record.path).shape[:2]
    except (OSError, ValueError) as error:  # both name the file
        yield str(error)
    path = record.parsing_path
    if path is None:
        return
    try:
        check_map(path, label_set, str(path), size)
    except (OSError, ValueError) as error:
        yield str(error)
