"""Refuses to start where parsing maps lack that the branches need."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.data.records import Record
from mbnet_jax.parsing.maps import MAKE_MAPS, check_maker

# The branches whose views are cut out by the parsing map.
CUT_BY_MAP = ("clothing_unrelated", "mask")


def _training_needs(config: ConfigDict) -> list[str]:
    branches = config.model.branches
    needs = [f"the branch {branch!r}" for branch in CUT_BY_MAP if branch in branches]
    if "global" in branches and config.model.ktm and config.loss.ktm_area:
        needs.append("KTM's area term")
    return needs


def _evaluation_needs(config: ConfigDict) -> list[str]:
    branches = config.eval.branches or config.model.branches
    return [f"the branch {branch!r}" for branch in CUT_BY_MAP if branch in branches]


def check_maps(
    config: ConfigDict, records: Mapping[str, Sequence[Record]], *, training: bool
) -> None:
    """Refuses records without the parsing maps that training or testing reads.

    Maps that this project made say in which label set: another is refused too.

    Args:
      config: whose branches, modules and losses decide.
      records: split -> its records.
      training: whether the split "train" is trained on, or only others tested.

    Raises:
      ValueError: with the split and how many of its images have no map, what needs
        them, the command that makes them, and the mode without.
    """
    if config.data.parsing_dir:
        check_maker(Path(config.data.parsing_dir), config.data.parsing_labels)
    for split, rows in records.items():
        if split == "train":
            needs = _training_needs(config) if training else []
            without = (
                "--config.model.branches=\"('global',)\" --config.loss.ktm_area=0. "
                "trains"
            )
        else:
            needs = _evaluation_needs(config)
            without = "--config.eval.branches=\"('global',)\" tests"
        missing = sum(record.parsing_path is None for record in rows)
        if needs and missing:
            raise ValueError(
                f"{missing} of {len(rows)} images of the split {split!r} have no "
                f"parsing map, and {', '.join(needs)} cannot do without. Where there "
                "are maps on disk, give --config.data.parsing_dir and "
                f"--config.data.parsing_labels; to make them:\n  {MAKE_MAPS}\n"
                f"Without any, {without} the global branch on images alone."
            )
