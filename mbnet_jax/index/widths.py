"""What a narrower embedding loses: the scores of a test split at several widths."""

from collections.abc import Mapping, Sequence

from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Dataset
from mbnet_jax.data.loader import Loader
from mbnet_jax.data.needed_maps import predicts_maps
from mbnet_jax.evaluation.branches import chosen_branches
from mbnet_jax.evaluation.embed import (
    Embedded,
    embed_split,
    embed_test,
    main_embedding,
)
from mbnet_jax.evaluation.embed_function import make_embed
from mbnet_jax.evaluation.protocols import usable_protocols
from mbnet_jax.evaluation.results import Results, evaluate_protocols
from mbnet_jax.index.narrow import Narrowing, fit
from mbnet_jax.runs.network import Network
from mbnet_jax.search.identity import origin_digest

FULL = "full"


def fit_widths(
    config: ConfigDict,
    network: Network,
    dataset: Dataset,
    widths: Sequence[int],
    whiten: bool,
    mesh: Mesh,
) -> dict[int, Narrowing]:
    """Embeds the images that were trained on; fits a narrowing of each width.

    Args:
      config: with `data` of the dataset; `eval.branches` says what is combined.
      network: the trained one.
      dataset: whose `train` is embedded.
      widths, whiten: as in `fit`.
      mesh: the devices.

    Raises:
      ValueError: if there are too few images for a width.
    """
    embeddings = embed_split(
        make_embed(config, network.model, mesh),
        network.variables,
        dataset.train,
        Loader(config.data, mesh, reads_maps=not predicts_maps(config)),
        config.eval.batch_size,
        "training images",
    )
    rows = embeddings[main_embedding(embeddings)]
    branches = chosen_branches(config.eval.branches, network.model)
    source = origin_digest(
        network.config, network.variables, branches, config.eval.flip
    )
    return {width: fit(rows, width, whiten, source) for width in widths}


def evaluate_widths(
    config: ConfigDict,
    network: Network,
    dataset: Dataset,
    narrowings: Mapping[int, Narrowing],
    mesh: Mesh,
) -> Results:
    """Evaluates the embedding and its narrowings.

    Args:
      config, network, mesh: as in `fit_widths`.
      dataset: with the test splits, of one dataset.
      narrowings: width -> narrowing.

    Returns:
      protocol -> `FULL`, each width in digits and "chance" -> measure -> value in 0..1.
    """
    protocols, _ = usable_protocols(dataset.protocols, dataset.test)
    embedded = embed_test(config, network, dataset, protocols, mesh)
    all_widths = {}
    for name, split in embedded.items():
        rows = split.embeddings[main_embedding(split.embeddings)]
        kinds = {FULL: rows}
        kinds |= {str(width): n.apply(rows) for width, n in narrowings.items()}
        all_widths[name] = Embedded(split.split, kinds)
    found = evaluate_protocols(config, all_widths, protocols)
    return {name: result.values for name, result in found.items()}
