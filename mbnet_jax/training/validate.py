"""Scores of a training state on the validation people."""

from collections.abc import Callable

from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Validation
from mbnet_jax.data.loader import Loader
from mbnet_jax.evaluation.embed import (
    Embedded,
    embed_split,
    main_embedding,
    make_embed,
)
from mbnet_jax.evaluation.results import rank, values_of
from mbnet_jax.models import MBNet


def make_validate(
    config: ConfigDict,
    validation: Validation,
    model: MBNet,
    loader: Loader,
    mesh: Mesh,
    before_batch: Callable[[], None],
) -> Callable[[dict], dict[str, float]]:
    """Returns variables -> {"rank1": ..., "mAP": ...}, in 0..1.

    `before_batch` is called before each batch is embedded; it may raise.
    """
    embed = make_embed(config, model, mesh)
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
