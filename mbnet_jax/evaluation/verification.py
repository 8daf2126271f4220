"""Is this the same person? Thresholds and probabilities of pairs, per protocol."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Dataset
from mbnet_jax.data.needed_maps import predicts_maps
from mbnet_jax.evaluation.branches import chosen_branches
from mbnet_jax.evaluation.calibrate import branches_of, calibrate, wished_rate
from mbnet_jax.evaluation.embed import Embedded, main_embedding
from mbnet_jax.evaluation.platt import Reliability, reliability
from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.evaluation.results import query_and_galleries
from mbnet_jax.retrieval import Verification, verification
from mbnet_jax.retrieval.verification import Point
from mbnet_jax.runs.calibration_file import (
    Calibration,
    fitting,
    origin_of_maps,
    write_calibrations,
)
from mbnet_jax.runs.network import Network
from mbnet_jax.runs.run_folder import RunFolder
from mbnet_jax.runs.tested import Tested

RATES = (1e-1, 1e-2, 1e-3, 1e-4)  # of false accepts, in the table


class Verified(NamedTuple):
    """How well the main embedding separates true pairs of a protocol from false ones.

    With several draws, the pairs are those of the first gallery.

    Attributes:
      embedding: its name.
      pairs: the ROC, and a point for each of `RATES`.
      calibration: from validation persons; None without.
      chosen: what the calibration's threshold does here; None without one.
      reliability: of its probabilities here; None without, or without pairs.
    """

    embedding: str
    pairs: Verification
    calibration: Calibration | None
    chosen: Point | None
    reliability: Reliability | None


def told_apart(
    test: Tested,
    network: Network,
    embed: Callable,
    dataset: Dataset,
    protocols: Sequence[Protocol],
    embedded: Mapping[str, Embedded],
    run: RunFolder,
    mesh: Mesh,
) -> tuple[dict[str, Verified], list[str]]:
    """Calibrates the network if validation persons exist, and tells pairs apart.

    Writes the calibrations into the run's folder. A dataset that the network was not
    trained on, and one without validation persons, take those of the run.

    Args:
      test: what is tested, with the config.
      network: the network.
      embed: of `make_embed`, with this config.
      dataset: the tested one.
      protocols: which queries meet which gallery, under which rule.
      embedded: split name -> its images, for at least the protocols' splits.
      run: the run, or the export with its results.
      mesh: that the network is on.

    Returns:
      Protocol name -> how well, {} with `eval.false_accept_rate=0`; notes to print.
    """
    config, found, notes = test.config, [], []
    if not wished_rate(config):
        return {}, []
    if dataset.validation is not None and not test.foreign:
        found, notes = calibrate(
            config, network, embed, dataset.validation, test.dataset, mesh
        )
        if found and not jax.process_index():
            write_calibrations(run.path, network.step, found)
    if not found:
        found = run.calibrations(network.step)
    return verify(config, network, embedded, protocols, found, test.dataset), notes


def verify(
    config: ConfigDict,
    network: Network,
    embedded: Mapping[str, Embedded],
    protocols: Sequence[Protocol],
    calibrations: Sequence[Calibration],
    dataset: str,
) -> dict[str, Verified]:
    """Tells the pairs of each protocol apart: protocol name -> how well.

    Args:
      config: of the evaluation.
      network: the network.
      embedded: split name -> its images, for at least the protocols' splits.
      protocols: which queries meet which gallery, under which rule.
      calibrations: of the network.
      dataset: the title of what is tested, whose calibration is preferred.
    """
    branches = chosen_branches(config.eval.branches, network.model)
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
