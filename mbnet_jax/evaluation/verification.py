"""Is this the same person? Thresholds and probabilities of pairs, per protocol."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Split, Validation
from mbnet_jax.data.loader import Loader
from mbnet_jax.data.needed_maps import predicts_maps
from mbnet_jax.evaluation.branches import chosen_branches
from mbnet_jax.evaluation.calibration import Reliability, fit_platt, reliability
from mbnet_jax.evaluation.embed import Embedded, embed_split, main_embedding
from mbnet_jax.evaluation.embed_function import ALL
from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.evaluation.results import query_and_galleries
from mbnet_jax.models import MBNet
from mbnet_jax.models.branches import needing_maps
from mbnet_jax.retrieval import Verification, verification
from mbnet_jax.retrieval.verification import Point
from mbnet_jax.runs.calibration_file import Calibration, fitting, origin_of_maps
from mbnet_jax.runs.network import Network

RATES = (1e-1, 1e-2, 1e-3, 1e-4)  # of false accepts, in the table
RATE = 1e-3  # of `eval.false_accept_rate`


class Verified(NamedTuple):
    """How pairs of a protocol are told apart by the main embedding.

    With several draws, the pairs are those of the first gallery.

    Attributes:
      embedding: its name.
      pairs: the ROC, and a point for each of `RATES`.
      calibration: from people for validation; None without.
      chosen: what the calibration's threshold does here; None without one.
      reliability: of its probabilities here; None without, or without pairs.
    """

    embedding: str
    pairs: Verification
    calibration: Calibration | None
    chosen: Point | None
    reliability: Reliability | None


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
    """Fits a calibration of each embedding on the people for validation.

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
            "no threshold and no probabilities: images of the people for validation "
            "have no parsing maps"
        ]
    rows = embed_split(
        embed,
        network.variables,
        validation.images,
        Loader(config.data, mesh, reads_maps=not predicted),
        config.eval.batch_size,
        "people for validation",
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
            return [], ["no threshold: no pairs of people for validation"]
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


def verify(
    config: ConfigDict,
    model: MBNet,
    embedded: Mapping[str, Embedded],
    protocols: Sequence[Protocol],
    calibrations: Sequence[Calibration],
    dataset: str,
) -> dict[str, Verified]:
    """Tells the pairs of each protocol apart: protocol name -> how well.

    Args:
      config: of the evaluation.
      model: the network.
      embedded: split name -> its images, for at least the protocols' splits.
      protocols: which queries meet which gallery, under which rule.
      calibrations: of the network.
      dataset: the title of what is tested, whose calibration is preferred.
    """
    branches = chosen_branches(config.eval.branches, model)
    found = {}
    for protocol in protocols:
        query, (gallery, *_) = query_and_galleries(
            embedded, protocol, config.eval.draw_seed
        )
        name = main_embedding(query.embeddings)
        own = branches_of(name, branches)
        maps = origin_of_maps(own, predicts_maps(config))
        calibration = fitting(calibrations, own, config.eval.flip, maps, dataset)
        threshold = calibration.threshold if calibration else None
        pairs = verification(
            query.embeddings[name],
            query.split.labels,
            gallery.embeddings[name],
            gallery.split.labels,
            rule=protocol.rule,
            rates=RATES,
            thresholds=() if threshold is None else (threshold,),
        )
        both = pairs.true and pairs.false
        found[protocol.name] = Verified(
            name,
            pairs,
            calibration,
            pairs.at_thresholds[0] if pairs.at_thresholds else None,
            reliability(pairs.curve, calibration.slope, calibration.offset)
            if calibration and both
            else None,
        )
    return found


def content_of(verified: Mapping[str, Verified]) -> dict:
    """Returns the entry "verification" of `metrics.json`; NaN becomes None."""
    return {
        name: {
            "embedding": of.embedding,
            "true_pairs": of.pairs.true,
            "false_pairs": of.pairs.false,
            "at_rates": {
                f"{rate:g}": _described(point)
                for rate, point in zip(RATES, of.pairs.at_rates, strict=True)
            },
            "calibration": of.calibration and of.calibration._asdict(),
            "at_threshold": of.chosen and _described(of.chosen),
            "calibration_error": of.reliability and of.reliability.error,
        }
        for name, of in verified.items()
    }


def _described(point: Point) -> dict:
    return {k: None if np.isnan(v) else v for k, v in point._asdict().items()}
