"""Scores of a training state on the validation people."""

from collections.abc import Callable

import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Dataset, Validation
from mbnet_jax.data.loader import Loader
from mbnet_jax.data.parts import configs_of
from mbnet_jax.evaluation.embed import Embedded, embed_split, main_embedding
from mbnet_jax.evaluation.embed_function import make_embed
from mbnet_jax.evaluation.results import rank, values_of
from mbnet_jax.models import MBNet

Validate = Callable[[dict], dict[str, float]]


def validate_all(
    config: ConfigDict,
    dataset: Dataset,
    model: MBNet,
    mesh: Mesh,
    before_batch: Callable[[], None],
) -> Validate | None:
    """`make_validate` for a dataset; None if it has no images for validation.

    For several datasets, "rank1" and "mAP" are means over those that have some, and
    "rank1_NAME" and "mAP_NAME" the scores of each.
    """
    configs = configs_of(config)
    if not dataset.parts:
        configs = {"": next(iter(configs.values()))}
    embed = make_embed(config, model, mesh) if dataset.validations else None
    each = {
        name: make_validate(
            configs[name],
            validation,
            model,
            Loader(configs[name].data, mesh),
            mesh,
            before_batch,
            embed,
        )
        for name, validation in dataset.validations.items()
    }
    if not dataset.parts:
        return each.get("")

    def validate(variables: dict) -> dict[str, float]:
        found = {name: scores(variables) for name, scores in each.items()}
        # A rank may lie beyond a small gallery.
        keys = [k for k in ("rank1", "mAP") if all(k in s for s in found.values())]
        means = {k: float(np.mean([s[k] for s in found.values()])) for k in keys}
        return means | {
            f"{key}_{name}": value
            for name, scores in found.items()
            for key, value in scores.items()
        }

    return validate if each else None


def make_validate(
    config: ConfigDict,
    validation: Validation,
    model: MBNet,
    loader: Loader,
    mesh: Mesh,
    before_batch: Callable[[], None],
    embed: Callable | None = None,
) -> Validate:
    """Returns variables -> {"rank1": ..., "mAP": ...}, in 0..1.

    `before_batch` is called before each batch is embedded; it may raise. `embed` is
    that of `make_embed`, if there is one already.
    """
    embed = embed or make_embed(config, model, mesh)
    images = validation.images

    def interruptible(*arguments):
        before_batch()
        return embed(*arguments)

    def validate(variables: dict) -> dict[str, float]:
        # Queries are in the gallery too: each image is embedded once.
        rows = embed_split(
            interruptible,
            variables,
            images,
            loader,
            config.eval.batch_size,
            "validation",
        )
        embedded = Embedded(images, rows)
        metrics = rank(
            embedded.subset(validation.query),
            embedded.subset(validation.gallery),
            main_embedding(rows),
            validation.rule,
            config.eval.ranks,
        )
        values = values_of(metrics)
        return {key: values[key] for key in ("rank1", "mAP") if key in values}

    return validate
