"""Measures which part of the predicted parsing maps costs a network its mAP.

python -m benchmarks.predicted_parts MODEL --config NAME [--config.FIELD=VALUE ...]

MODEL is a run, an export or a hub id, of a network that predicts parsing maps; NAME is
the config of the dataset whose test split is used. The embedding of all branches is
tested with views from given maps, with all of them from predicted maps, and with one of
them at a time. Prints two Markdown tables: mAP under each rule, and its share of that
with given maps; and, of the queries, how well boxes and silhouettes of both maps
overlap.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.overrides import overrides_of
from mbnet_jax import views
from mbnet_jax.config import load_config
from mbnet_jax.data import load_dataset
from mbnet_jax.data.loader import Loader
from mbnet_jax.devices import compilation_cache
from mbnet_jax.devices.mesh import batch_sharding, make_mesh, replicated
from mbnet_jax.evaluation.embed import Embedded, embed_split
from mbnet_jax.evaluation.predicted import parsing_function
from mbnet_jax.evaluation.results import rank
from mbnet_jax.models.branches import views_of_branches
from mbnet_jax.models.heads import l2_normalize
from mbnet_jax.runs.load import load
from mbnet_jax.runs.network import Network

RULES = ("general", "same_clothes", "clothes_changing")
HEAD, LEGS, SILHOUETTE = PARTS = ("head", "legs", "silhouette")
# Title -> the parts of the views that are from predicted maps.
MIXES = {
    "given": (),
    "predicted": PARTS,
    **{f"predicted {part}": (part,) for part in PARTS},
}
LITTLE = 0.7  # an overlap below is counted


def main() -> None:
    """Parses the command line, and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--config", required=True, metavar="NAME")
    arguments, rest = parser.parse_known_args()
    given = overrides_of(parser, rest)
    compilation_cache.enable()
    try:
        print(measured(arguments.model, arguments.config, given))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def measured(model: str, config_name: str, overrides: Sequence[str] = ()) -> str:
    """Returns both tables, of the network `model` on the test split of a config.

    Raises:
      FileNotFoundError: if there is no such network or dataset.
      ValueError: if a field is wrong; if the network has no parsing head, or no branch
        that needs maps; if the dataset has no maps, cameras or clothes labels.
    """
    config = load_config(config_name, overrides)
    mesh = make_mesh(jax.local_devices())
    network = load(model, mesh)
    # The network's size of images and views
    config.data.update(
        height=network.config.data.height, width=network.config.data.width
    )
    if "crops" not in views_of_branches(network.model.branches):
        raise ValueError(f"{model} has no branch that reads a parsing map")
    test = load_dataset(config, training=False).test
    if not {"query", "gallery"} <= test.keys():
        raise ValueError(
            f"{config.data.name} has the test splits {', '.join(test)}; this needs one "
            "query and one gallery"
        )
    if any(split.known != {"camera", "clothes"} for split in test.values()):
        raise ValueError(f"{config.data.name} has no cameras or clothes labels")
    loader = Loader(config.data, mesh)
    embed = _on(mesh, mixed_function(network))
    size = config.eval.batch_size
    query, gallery = (
        Embedded(split, embed_split(embed, network.variables, split, loader, size))
        for split in (test["query"], test["gallery"])
    )
    overlap = _on(mesh, overlap_function(network))
    overlaps = np.concatenate(
        [
            overlap(network.variables, batch["image"], batch["parsing"])
            for batch in loader.evaluate(test["query"], size)
        ]
    )[: len(test["query"])]
    scores = {
        title: [rank(query, gallery, title, rule, (1,)).mAP for rule in RULES]
        for title in MIXES
    }
    return f"{_scores_table(scores)}\n\n{_overlaps_table(overlaps)}"


def mixed_function(network: Network) -> Callable:
    """A function (variables, image, parsing) -> title of `MIXES` -> embedding [B, d].

    `image` is uint8 [B, H, W, 3], `parsing` uint8 [B, H, W]. Embeddings have length 1,
    and are of the image and its mirror image.
    """
    names = views_of_branches(network.model.branches)
    sizes = network.config.views
    predict = parsing_function(network.config, network.model)

    def embed(variables, image, parsing):
        image = views.normalise(image)
        x, given = (jnp.concatenate([y, y[:, :, ::-1]]) for y in (image, parsing))
        of_given, of_predicted = (
            views.make_views(x, maps, sizes, names)
            for maps in (given, predict(variables, x))
        )
        mixes = [mixed(of_given, of_predicted, parts) for parts in MIXES.values()]
        mixes = jax.tree.map(lambda *of_all: jnp.concatenate(of_all), *mixes)
        rows = network.model.apply(variables, mixes, train=False).combined
        rows = rows.reshape(len(MIXES), 2, len(image), -1).sum(1)
        return dict(zip(MIXES, l2_normalize(rows), strict=True))

    return embed


def mixed(given: dict, predicted: dict, parts: Sequence[str]) -> dict:
    """The views `given`, but for `parts`, which are those of `predicted`."""
    mix, half = dict(given), given["crops"].shape[1] // 2
    head, legs = (
        (predicted if part in parts else given)["crops"] for part in (HEAD, LEGS)
    )
    mix["crops"] = jnp.concatenate([head[:, :half], legs[:, half:]], 1)
    if SILHOUETTE in given and SILHOUETTE in parts:
        mix[SILHOUETTE] = predicted[SILHOUETTE]
    return mix


def overlap_function(network: Network) -> Callable:
    """A function (variables, image, parsing) -> overlaps [B, 3], in order of `PARTS`.

    An overlap is the common area of what given and predicted map have, of their union.
    """
    predict = parsing_function(network.config, network.model)
    height, width = network.config.views.crops

    def one(given, predicted):
        maps = (given, predicted)
        boxes = [
            overlap_of_boxes(
                *(views.fit_aspect(find(x), (height // 2, width)) for x in maps)
            )
            for find in (views.head_box, views.legs_box)
        ]
        first, second = (x > 0 for x in maps)
        union = jnp.maximum((first | second).sum(), 1)
        return jnp.stack([*boxes, (first & second).sum() / union])

    def overlaps(variables, image, parsing):
        return jax.vmap(one)(parsing, predict(variables, views.normalise(image)))

    return overlaps


def overlap_of_boxes(a: jax.Array, b: jax.Array) -> jax.Array:
    """The common area of two boxes (top, left, bottom, right), of their union."""
    common = jnp.minimum(a[2:], b[2:]) - jnp.maximum(a[:2], b[:2])
    common = common.clip(0).prod()
    return common / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common)


def _on(mesh, function: Callable) -> Callable:
    rows, whole = batch_sharding(mesh), replicated(mesh)
    return jax.jit(function, in_shardings=(whole, rows, rows), out_shardings=whole)


def _scores_table(scores: dict[str, list[float]]) -> str:
    lines = [
        f"| maps | {' | '.join(rule.replace('_', '-') for rule in RULES)} |",
        f"| --- |{' --- |' * len(RULES)}",
    ]
    for title, values in scores.items():
        cells = (
            f"{100 * value:.1f} ({100 * value / of:.0f} %)"
            for value, of in zip(values, scores["given"], strict=True)
        )
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _overlaps_table(overlaps: np.ndarray) -> str:
    lines = [f"| part | median overlap | below {LITTLE} |", "| --- | --- | --- |"]
    for part, values in zip(PARTS, overlaps.T, strict=True):
        little = 100 * (values < LITTLE).mean()
        lines.append(f"| {part} | {np.median(values):.2f} | {little:.0f} % |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
