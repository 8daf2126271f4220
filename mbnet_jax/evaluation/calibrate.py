"""Calibrates a network on validation persons, who are kept out of its training."""

from collections.abc import Callable, Sequence

import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Split, Validation
from mbnet_jax.data.loader import Loader
from mbnet_jax.data.needed_maps import predicts_maps
from mbnet_jax.evaluation.branches import chosen_branches
from mbnet_jax.evaluation.embed import Embedded, embed_split
from mbnet_jax.evaluation.embed_function import ALL
from mbnet_jax.evaluation.platt import fit_platt
from mbnet_jax.models.branches import needing_maps
from mbnet_jax.retrieval import verification
from mbnet_jax.runs.calibration_file import Calibration, origin_of_maps
from mbnet_jax.runs.network import Network

RATE = 1e-3  # of `eval.false_accept_rate`


def wished_rate(config: ConfigDict) -> float:
    """The share of false pairs to accept; 0: nothing is said of pairs."""
    return config.eval.get("false_accept_rate", RATE)


def calibrate(
    config: ConfigDict,
    network: Network,
    embed: Callable,
    validation: Validation,
    dataset: str,
    mesh: Mesh,
) -> tuple[list[Calibration], list[str]]:
    """Fits a calibration of each embedding on the validation persons.

    Args:
      config: of the evaluation.
      network: the network.
      embed: of `make_embed`, with this config.
      validation: people that it was not trained on, and what is a pair.
      dataset: its title.
      mesh: that the network is on.

    Returns:
      The calibrations, and notes to print: why there are none.
    """
    branches = chosen_branches(config.eval.branches, network.model)
    predicted = predicts_maps(config)
    if needing_maps(branches) and not predicted and not _has_maps(validation.images):
        return [], [
            "no threshold and no probabilities: images of the validation persons "
            "have no parsing maps"
        ]
    rows = embed_split(
        embed,
        network.variables,
        validation.images,
        Loader(config.data, mesh, reads_maps=not predicted),
        config.eval.batch_size,
        "validation persons",
    )
    embedded = Embedded(validation.images, rows)
    query = embedded.subset(validation.query)
    gallery = embedded.subset(validation.gallery)
    found = []
    for name in rows:
        pairs = verification(
            query.embeddings[name],
            query.split.labels,
            gallery.embeddings[name],
            gallery.split.labels,
            rule=validation.rule,
            rates=(wished_rate(config),),
        )
        if not pairs.true or not pairs.false:
            return [], ["no threshold: no pairs of validation persons"]
        slope, offset = fit_platt(pairs.curve)
        threshold = pairs.at_rates[0].threshold
        own = branches_of(name, branches)
        found.append(
            Calibration(
                dataset,
                len(np.unique(validation.images.pid)),
                len(validation.images),
                validation.rule,
                own,
                config.eval.flip,
                origin_of_maps(own, predicted),
                pairs.true,
                pairs.false,
                slope,
                offset,
                wished_rate(config),
                None if np.isnan(threshold) else threshold,
            )
        )
    return found, []


def branches_of(embedding: str, branches: Sequence[str]) -> tuple[str, ...]:
    """The branches that an embedding combines, of those that are evaluated."""
    return tuple(branches) if embedding == ALL else (embedding,)


def _has_maps(images: Split) -> bool:
    images = images.frames.images if images.frames else images
    return all(images.example(index)["parsing"] for index in range(len(images)))
