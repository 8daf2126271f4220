"""Checks that the parsing maps which the branches need exist, before a start."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.data.records import Record
from mbnet_jax.models.branches import BRANCHES, needing_maps
from mbnet_jax.parsing.maker import check_maker
from mbnet_jax.parsing.maps import MAKE_MAPS, check_map

_SAMPLES = 64  # maps that are read at every start


class MissingMapsError(ValueError):
    """Images have no parsing maps.

    Attributes:
      images: which ones, as in "2 of 8 images of the split 'query'".
    """

    def __init__(self, message: str, images: str):
        """Has `message` for people who cannot do without."""
        super().__init__(message)
        self.images = images


def _branches_in_need(branches: Sequence[str]) -> list[str]:
    known = [name for name in BRANCHES if name in branches]
    return [f"the branch {name!r}" for name in needing_maps(known)]


def _training_needs(config: ConfigDict) -> list[str]:
    branches = config.model.branches
    gated = any(b.module == "ktm" for n, b in BRANCHES.items() if n in branches)
    needs = _branches_in_need(branches)
    if gated and config.model.ktm and config.loss.ktm_area:
        needs.append("KTM's area term")
    losses = {"parser": 1.0, "parser_extents": 0.0}
    if config.model.get("parser_image", False):
        losses["parser_edges"] = 0.3
    weights = [config.loss.get(*loss) for loss in losses.items()]
    if config.model.get("parser", False) and any(weights):
        needs.append("the predicted map's loss")
    return needs


def predicts_maps(config: ConfigDict) -> bool:
    """Whether the evaluation's parsing maps are those that the network predicts."""
    return config.eval.get("maps", "given") == "predicted"


def _evaluation_needs(config: ConfigDict) -> list[str]:
    if predicts_maps(config):
        return []
    return _branches_in_need(config.eval.branches or config.model.branches)


def check_maps(
    config: ConfigDict, records: Mapping[str, Sequence[Record]], *, training: bool
) -> None:
    """Refuses records without the parsing maps that training or evaluation reads.

    Args:
      config: its branches, modules and losses decide which maps are needed. The
        evaluation needs none that the network predicts.
      records: split -> its records.
      training: whether the split "train" is trained on, and with
        `data.train_with_val` the split "val".

    Raises:
      MissingMapsError: maps are missing. The message names the split, what needs the
        maps, the command that makes them, and how to do without.
      ValueError: `mbnet-parse` made the maps in another label set than
        `data.parsing_labels`, or some do not fit that set.
    """
    if predicts_maps(config) and not training:
        return
    if config.data.parsing_dir:
        check_maker(Path(config.data.parsing_dir), config.data.parsing_labels)
    # All are read once, when the dataset is prepared. Some are at every start, since
    # the label set may be another one now.
    found = [row for rows in records.values() for row in rows if row.parsing_path]
    for row in found[:: max(len(found) // _SAMPLES, 1)]:
        path = row.parsing_path
        check_map(path, config.data.parsing_labels, f"{row.path.name} ({path})")
    free = next(name for name, branch in BRANCHES.items() if not branch.needs_map)
    joins_val = config.data.get("train_with_val", False)
    for split, rows in records.items():
        trained = split == "train" or (split == "val" and joins_val)
        if trained:
            needs = _training_needs(config) if training else []
            without = f"--config.model.branches={free} --config.loss.ktm_area=0 trains"
        else:
            needs = _evaluation_needs(config)
            without = f"--config.eval.branches={free} evaluates"
        missing = sum(record.parsing_path is None for record in rows)
        if needs and missing:
            images = f"{missing} of {len(rows)} images of the split {split!r}"
            raise MissingMapsError(
                f"{images} have no parsing map; needed by {', '.join(needs)}. For maps "
                "on disk, give --config.data.parsing_dir and "
                f"--config.data.parsing_labels; to make maps:\n  {MAKE_MAPS}\n"
                f"Without maps, {without} the {BRANCHES[free].title} on images alone.",
                images,
            )
