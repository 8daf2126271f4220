"""Datasets that come in several variants: which one is there."""

from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.data.datasets import dataset_spec, find_variant
from mbnet_jax.data.parts import names_of, parts_of


def with_variants(config: ConfigDict) -> ConfigDict:
    """The config with the variants that are in `data.root` in place of "".

    Runs are saved with these: results say later what they are of.

    Raises:
      ValueError: several variants of a dataset are there, and none is given.
    """
    several = len(names_of(config.data)) > 1
    for name, part in parts_of(config.data).items():
        spec, given = dataset_spec(part.name), part.get("variant", "")
        variant = find_variant(spec, Path(part.root), given) if spec.variants else ""
        if variant and variant != given:
            config = config.copy_and_resolve_references()
            with config.unlocked():
                data = config.data
                if several or name in data.get("parts", {}):
                    fields = data.get("parts", ConfigDict()).to_dict()
                    fields.setdefault(name, {})["variant"] = variant
                    data.parts = ConfigDict(fields)
                else:
                    data.variant = variant
    return config
