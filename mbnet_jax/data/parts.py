"""The datasets that `config.data` names: one, or several to train on together."""

import os
import re
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.data.datasets import check_variant, dataset_spec
from mbnet_jax.refusals import unknown

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")  # it names a folder of eval


def names_of(data: ConfigDict) -> tuple[str, ...]:
    """The names in `data.name`, one or several."""
    return (data.name,) if isinstance(data.name, str) else (*data.name,)


def title_of(data: ConfigDict) -> str:
    """The datasets, for people to read: "msmt17 v2", "msmt17 v2 + ltcc"."""
    return " + ".join(_title(key, part) for key, part in parts_of(data).items())


def trained_title(data: ConfigDict) -> str:
    """`title_of`, with the splits that are trained on: "msmt17 v2 (train alone)"."""
    return " + ".join(
        _title(key, part) + trained_splits(part) for key, part in parts_of(data).items()
    )


def _title(key: str, part: ConfigDict) -> str:
    return f"{key} {part.get('variant', '')}".strip()


def trained_splits(part: ConfigDict) -> str:
    """Which splits of one dataset are trained on, where there is a choice.

    It is " (train and val)", " (train alone)", or "" if the dataset has no other images
    of its training persons.
    """
    if part.get("train_with_val", False):
        return " (train and val)"
    return " (train alone)" if "val" in dataset_spec(part.name).counts else ""


def parts_of(data: ConfigDict) -> dict[str, ConfigDict]:
    """Name -> the fields of `config.data` for one dataset, in the order of `data.name`.

    The fields of `data.parts.<name>` take the place of those of `data`. `name` of each
    is a registered dataset, and none has `parts` or `shares`.

    Raises:
      ValueError: `data.parts` has a dataset that `data.name` does not name.
    """
    names = names_of(data)
    if not ({"parts", "shares"} & {*data}) and names == (data.name,):
        return {data.name: data}
    data = data.copy_and_resolve_references()
    own = data.get("parts", {})
    for name in own:
        if name not in names:
            raise ValueError(unknown(f"data.parts.{name}", names))
    parts = {}
    for name in names:
        part = ConfigDict(data.to_dict(), type_safe=False)
        for field in ("parts", "shares"):
            if field in part:
                del part[field]
        part.name = name
        part.update(own.get(name, {}))
        parts[name] = part
    return parts


def configs_of(config: ConfigDict) -> dict[str, ConfigDict]:
    """Name -> the config for one dataset: its `data` are the fields of `parts_of`."""
    configs = {}
    for name, data in parts_of(config.data).items():
        configs[name] = config
        if data is not config.data:
            configs[name] = config.copy_and_resolve_references()
            configs[name].data = data
            configs[name].eval.report_queries = queries_of(config, name)
    return configs


def queries_of(config: ConfigDict, name: str) -> tuple[str, ...]:
    """`eval.report_queries` for one dataset; of several, those named "NAME/..."."""
    queries = (*config.eval.report_queries,)
    if len(names_of(config.data)) == 1:
        return queries
    start = f"{name}/"
    return tuple(q.removeprefix(start) for q in queries if q.startswith(start))


def check_parts(data: ConfigDict) -> None:
    """Refuses datasets and variants that are not known, and shares that do not fit.

    Raises:
      ValueError: naming the field.
    """
    parts, same = parts_of(data), {}
    for name, part in parts.items():
        check_variant(dataset_spec(part.name), part.get("variant", ""))
        if part.name != "synthetic" and "synthetic" in data.get("parts", {}).get(
            name, {}
        ):
            raise ValueError(
                f"data.parts.{name}.synthetic is of generated people, and {name} has "
                f"name={part.name!r}; leave it out, or set data.parts.{name}.name="
                "synthetic"
            )
        if len(parts) > 1 and not _PART.fullmatch(name):
            raise ValueError(
                f"data.name has {name!r}; of several datasets, each needs a name of "
                "letters, digits, - and _, since results are in folders of their names"
            )
        images = _images(part)
        if images in same:
            raise ValueError(
                f"data.name has {same[images]!r} and {name!r}, which are the same "
                "images: their people would count as other people; leave one out, or "
                f"set data.parts.{name}.root"
            )
        same[images] = name
    shares, names = data.get("shares", ()), names_of(data)
    if shares and len(shares) != len(names):
        raise ValueError(
            f"data.shares={(*shares,)} must have one share for each of data.name="
            f"{names}, in this order"
        )


def _images(part: ConfigDict) -> tuple:
    """What tells the images of a dataset apart from those of others."""
    people = part.get("synthetic", None) if part.name == "synthetic" else None
    fields = () if people is None else tuple(sorted(people.to_dict().items()))
    return part.name, os.path.realpath(part.root), part.get("variant", ""), fields


def prepared_folder(data: ConfigDict, image: str = "") -> Path:
    """The folder of a dataset's prepared copies; of several, of that with `image`."""
    parts = parts_of(data)
    name = image.partition("/")[0] if len(parts) > 1 else next(iter(parts))
    part = parts[name]
    return Path(part.root) / "prepared" / part.name
