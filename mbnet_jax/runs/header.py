"""What a command says before it trains or tests: data, network, devices."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax import configs
from mbnet_jax.config import flat
from mbnet_jax.data import Dataset, Split
from mbnet_jax.data.records import UNKNOWN
from mbnet_jax.models.branches import backbone_module, ordered, owner
from mbnet_jax.progress import PLAIN_WIDTH

_LABEL = 13  # characters of the first column
_COUNTS = ("persons", "images", "cameras", "outfits")
_TRACKLETS = "tracklets"  # one more column, of datasets that have them
_MODULES = {
    "knowledge_transfer": "KTM",
    "feature_attention": "FAM",
    "cross_fusion": "CFM",
    "balance_weights": "balance",
    "clothes_subspace": "clothes projected out",
    "linear_projection": "projection",
}
_SHOWN_SPLITS = 6
_SHOWN_FIELDS = 8


def header(
    config: ConfigDict,
    splits: Mapping[str, Split],
    params: Mapping[str, Any],
    mesh: Mesh,
    **more: object,
) -> str:
    """Returns the header.

    Args:
      config: of the run.
      splits: title -> the images of a split.
      params: the network's parameters, or their shapes.
      mesh: the devices.
      more: title -> what else there is to say, a line each.
    """
    counts = [_counted(split) for split in splits.values()]
    columns = [*_COUNTS, *[_TRACKLETS] * any(_TRACKLETS in each for each in counts)]
    rows = [
        ("images", "".join(f"{name:>{_width(name)}}" for name in columns)),
        *(
            (f"  {title}"[:_LABEL], _cells(each, columns))
            for title, each in zip(splits, counts, strict=True)
        ),
        *_network(config, params),
        ("devices", _devices(mesh, config.model.dtype)),
        *more.items(),
        ("config", _differences(config)),
    ]
    return aligned(rows)


def aligned(rows: Iterable[tuple[str, object]]) -> str:
    """Returns titles and texts in two columns, of at most 80 characters.

    A long text takes several lines, in the second column. A path is not broken.
    """
    return "\n".join(
        textwrap.fill(
            str(text),
            PLAIN_WIDTH,
            initial_indent=f"{title:<{_LABEL}}",
            subsequent_indent=" " * _LABEL,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for title, text in rows
    )


def training_splits(dataset: Dataset) -> dict[str, Split]:
    """Returns the splits of a dataset by name; of many, the first ones.

    For several datasets, these are all training images, and those of each.
    """
    splits = {"train": dataset.train}
    splits |= {name: part.train for name, part in dataset.parts.items()}
    if dataset.validation is not None:
        splits["validation"] = dataset.validation.images
    return dict([*(splits | dataset.test).items()][:_SHOWN_SPLITS])


def _counted(split: Split) -> dict[str, int]:
    """How many there are of each that is labelled, without junk."""
    split = split.of_people()
    counts = {"images": split.number_of_images, "persons": len(np.unique(split.pid))}
    dressed, seen = split.clothes != UNKNOWN, split.camera != UNKNOWN
    if dressed.any():
        # Datasets may number the outfits of each person from 0.
        both = np.stack([split.pid, split.clothes])[:, dressed]
        counts["outfits"] = np.unique(both, axis=1).shape[1]
    if seen.any():
        counts["cameras"] = len(np.unique(split.camera[seen]))
    followed = split.tracklet != UNKNOWN
    if followed.any():
        counts[_TRACKLETS] = len(np.unique(split.tracklet[followed]))
    return counts


def _cells(counts: Mapping[str, int], columns: Iterable[str]) -> str:
    """The numbers in columns; "-" where they are not labelled."""
    return "".join(
        f"{counts[name]:>{_width(name)},}"
        if name in counts
        else "-".rjust(_width(name))
        for name in columns
    )


def _width(column: str) -> int:
    return max(len(column) + 2, 9)


def _network(
    config: ConfigDict, params: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """The parameters in total, and those of each branch's backbone."""
    sizes = {
        module: sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree))
        for module, tree in params.items()
    }
    on = [title for module, title in _MODULES.items() if module in params]
    total = _millions(sum(sizes.values()))
    yield "network", ", ".join([f"{total} parameters", *on])
    own, on = config.model.backbones, ordered(config.model.branches)
    backbones = []
    for module in dict.fromkeys(backbone_module(branch, own) for branch in on):
        users = [branch for branch in on if backbone_module(branch, own) == module]
        title = " and ".join(branch.replace("_", "-") for branch in users)
        name = own[owner(users[0], own)].name
        backbones.append(f"{title} {name} {_millions(sizes[module])}")
    yield "backbones", ", ".join(backbones)


def _differences(config: ConfigDict) -> str:
    """The fields that differ from the config that comes with the package."""
    name = config.name if config.name in configs.names() else "base"
    usual = flat(configs.read(configs.FOLDER / f"{name}.py"))
    given = flat(config.copy_and_resolve_references())
    changed = [
        f"{field}={_value(value)}"
        for field, value in given.items()
        if field != "name" and _value(value) != _value(usual.get(field))
    ]
    rest = len(changed) - _SHOWN_FIELDS
    more = [f"and {rest} more in config.json"] if rest > 0 else []
    return ", ".join([name, *changed[:_SHOWN_FIELDS], *more])


def _value(value: object) -> str:
    """As it is typed on a command line."""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return str(value)


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f}M" if count >= 100_000 else f"{count:,}"


def _devices(mesh: Mesh, dtype: str) -> str:
    kinds = sorted({device.device_kind for device in mesh.devices.flat})
    number = jax.process_count()
    processes = f", {number} processes" if number > 1 else ""
    return f"{mesh.size} x {', '.join(kinds)}{processes}, {dtype}"
