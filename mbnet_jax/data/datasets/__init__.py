"""The datasets: one file per dataset, and one line here to register it."""

from pathlib import Path

from mbnet_jax.data.datasets import (
    ccvid,
    celeb_reid,
    cuhk03,
    deepchange,
    last,
    ltcc,
    manifest,
    market1501,
    mevid,
    msmt17,
    nkup,
    prcc,
    synthetic,
    vc_clothes,
)
from mbnet_jax.data.datasets.reading import attach_parsing, check_records
from mbnet_jax.data.datasets.spec import DatasetSpec
from mbnet_jax.data.records import Records, keeping_all

DATASETS: dict[str, DatasetSpec] = {}


def register(spec: DatasetSpec) -> None:
    """Makes a dataset known as `data.name=spec.name`, in place of any of that name."""
    DATASETS[spec.name] = spec


register(synthetic.SPEC)
register(ltcc.SPEC)
register(prcc.SPEC)
register(vc_clothes.SPEC)
register(last.SPEC)
register(deepchange.SPEC)
register(celeb_reid.SPEC)
register(celeb_reid.LIGHT)
register(nkup.SPEC)
register(market1501.SPEC)
register(msmt17.SPEC)
register(cuhk03.SPEC)
register(ccvid.SPEC)
register(mevid.SPEC)
register(manifest.SPEC)


def dataset_spec(name: str) -> DatasetSpec:
    """Looks up a registered dataset.

    Raises:
      ValueError: no dataset of that name is registered.
    """
    if name not in DATASETS:
        raise ValueError(
            f"data.name={name!r} is not a dataset here; known: {', '.join(DATASETS)}"
        )
    return DATASETS[name]


def check_variant(spec: DatasetSpec, variant: str) -> None:
    """Refuses a `data.variant` that the dataset does not have.

    Raises:
      ValueError: listing its variants.
    """
    if variant and variant not in spec.variants:
        known = ", ".join(map(repr, spec.variants)) or "none"
        raise ValueError(
            f"data.variant={variant!r} is no variant of {spec.name}; it has {known}. "
            "Leave it empty to take the one that is there"
        )


def find_variant(spec: DatasetSpec, root: Path, variant: str) -> str:
    """The variant to read: the one asked for, else the only one that is in `root`.

    Returns "" if the dataset has no variants, or none of them is there.

    Raises:
      ValueError: the dataset has no such variant, or several are there and none is
        asked for.
    """
    check_variant(spec, variant)
    if variant or not spec.variants:
        return variant
    there = spec.find_variants(root / spec.folder)
    if len(there) > 1:
        raise ValueError(
            f"{root / spec.folder} holds several variants of {spec.name}: "
            f"{', '.join(there)}. Set data.variant to one of them"
        )
    return there[0] if there else ""


@keeping_all()
def read_records(
    name: str,
    root: str | Path,
    parsing_dir: str | Path | None = None,
    variant: str = "",
) -> Records:
    """Lists the images of dataset `name` in `root`, by split.

    Labels of the split "train" are contiguous from 0: `pid` in the order of the
    persons, `clothes` in the order of (person, outfit). In the other splits `pid` is
    as in the files, and `clothes` is numbered over all of them together.

    Args:
      name: a key of `DATASETS`.
      root: the folder that holds the dataset.
      parsing_dir: a folder of parsing maps that mirrors `root`, one .png per image.
        Without it, records have the maps that the dataset comes with, if any.
      variant: of the dataset, where it has several; "": the one that is there.

    Raises:
      ValueError: an unknown name, an image name that does not fit the layout, a label
        beyond 32 bits, what is not a regular file, or a person in both the training and
        the test splits.
      FileNotFoundError: the folder, a split or a parsing map is missing.
      OSError: a folder cannot be listed. All messages name the offender.
    """
    spec = dataset_spec(name)
    if not isinstance(root, str | Path) or str(root) == "" or "\0" in str(root):
        raise ValueError(f"the dataset's root={root!r} must be the path of a folder")
    root = Path(root)
    variant = find_variant(spec, root, variant)
    try:
        records = spec.read(root / spec.folder, *[variant] * bool(spec.variants))
    except FileNotFoundError as error:
        message = f"{error}. {spec.origin(root)}".removesuffix(". ")
        raise FileNotFoundError(message) from error
    check_records(records, spec.protocols, spec.partly_labelled)
    if parsing_dir:
        records = attach_parsing(records, root, Path(parsing_dir))
    return records
