"""The datasets that `config.data` names: one, or several to train on together."""

from ml_collections import ConfigDict

from mbnet_jax.data.datasets import check_variant, dataset_spec
from mbnet_jax.refusals import unknown


def names_of(data: ConfigDict) -> tuple[str, ...]:
    """The names in `data.name`, one or several."""
    return (data.name,) if isinstance(data.name, str) else (*data.name,)


def title_of(data: ConfigDict) -> str:
    """The datasets, for people to read: "msmt17 v2", "msmt17 v2 + ltcc"."""
    return " + ".join(
        f"{key} {part.get('variant', '')}".strip()
        for key, part in parts_of(data).items()
    )


def parts_of(data: ConfigDict) -> dict[str, ConfigDict]:
    """Name -> the fields of `config.data` for one dataset, in the order of `data.name`.

    The fields of `data.parts.<name>` take the place of those of `data`. `name` of each
    is a registered dataset, and none has `parts` or `shares`.

    Raises:
      ValueError: `data.parts` has a dataset that `data.name` does not name.
    """
    data = data.copy_and_resolve_references()
    own = data.get("parts", {})
    names = names_of(data)
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


def check_parts(data: ConfigDict) -> None:
    """Refuses datasets and variants that are not known, and shares that do not fit.

    Raises:
      ValueError: naming the field.
    """
    for part in parts_of(data).values():
        check_variant(dataset_spec(part.name), part.get("variant", ""))
    shares, names = data.get("shares", ()), names_of(data)
    if shares and len(shares) != len(names):
        raise ValueError(
            f"data.shares={(*shares,)} must have one share for each of data.name="
            f"{names}, in this order"
        )
