"""Fits a projection of a trained network's branches, once these are finished; ours.

A projection that is trained beside the branches (`Projection`) follows them through all
of training, in the same batches. With finished branches, the images that were trained
on are embedded once, and a projection learns from them in seconds, in larger batches
and at several temperatures. People held out choose among these. Or a branch is added to
the projection that the network has (`training.added_branch`).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Dataset
from mbnet_jax.data.loader import Loader
from mbnet_jax.data.needed_maps import predicts_maps
from mbnet_jax.data.parts import configs_of
from mbnet_jax.data.sampler import IdentityBalancedSampler
from mbnet_jax.evaluation.embed import Embedded, embed_split
from mbnet_jax.evaluation.embed_function import ALL, make_embed
from mbnet_jax.evaluation.results import rank
from mbnet_jax.losses.identity import supervised_contrastive
from mbnet_jax.models import BRANCHES
from mbnet_jax.models.heads import l2_normalize
from mbnet_jax.runs.network import Network
from mbnet_jax.runs.tested import has_own_datasets, with_network_of
from mbnet_jax.training.added_branch import with_branch_added

EQUAL, AS_IT_IS = "equal weights", "as it is"
# Of the contrastive loss: high ones suit changes of clothes, low ones the same clothes.
_TEMPERATURES = (0.07, 0.085, 0.1, 0.12, 0.14)
_RULES = ("general", "same_clothes", "clothes_changing")
_STEPS, _WARMUP, _RATE = 800, 50, 5e-4
_PERSONS, _IMAGES = 64, 4  # of a batch

Scores = dict[str, dict[str, float]]  # candidate -> test of people held out -> mAP


class Combination(NamedTuple):
    """A projection, and how it was chosen.

    kernel: float32 [d, width], of all branches' embeddings side by side.
    title: of the candidate that it is, in `scores`.
    gain: in mAP, the least over all tests, on the best branch and on equal weights.
    scores: mAP in 0..1 of each branch, of equal weights, of the network's combination
      as it is, and of each candidate.
    """

    kernel: np.ndarray
    title: str
    gain: float
    scores: Scores


def best_combination(
    config: ConfigDict,
    network: Network,
    dataset: Dataset,
    width: int,
    mesh: Mesh,
    add: str = "",
) -> Combination:
    """Embeds the images, fits projections, and chooses one on the people held out.

    Embeddings are of the images as they are, without their mirror images.

    Args:
      config: as in `of_network`. `eval.maps` says which parsing maps are used.
      network: the trained one, of two branches or more.
      dataset: its images to train on, and the people held out.
      width: dimensions of the result; with `add`, the network's projection keeps its
        own.
      mesh: the devices that embed.
      add: a branch that is added to the network's projection, with several weights, in
        place of fits; "": none.

    Raises:
      ValueError: if there is one branch, nobody is held out, an image cannot be
        embedded, there are too few images for the width, or `add` cannot be added.
    """
    names = [name for name in BRANCHES if name in network.model.branches]
    if len(names) < 2:
        raise ValueError(
            f"the network has one branch, {names[0]}: there is nothing to combine"
        )
    if not dataset.validations:
        raise ValueError(
            "people held out choose the projection, and there are none: set "
            "data.validation=held_out and data.validation_fraction above 0"
        )
    candidates = with_branch_added(network, add) if add else {}
    embed = make_embed(config, network.model, mesh, branches=(), flip=False)
    reads = not predicts_maps(config)

    def embedded(part: ConfigDict, split, title: str) -> dict[str, np.ndarray]:
        loader = Loader(part.data, mesh, reads_maps=reads)
        size = config.eval.batch_size
        rows = embed_split(embed, network.variables, split, loader, size, title)
        rows[EQUAL] = np.concatenate([rows[name] for name in names], axis=1)
        return rows | {AS_IT_IS: rows[ALL]}

    configs = configs_of(config)
    held_out = {}
    for name, validation in dataset.validations.items():
        part = configs[name or next(iter(configs))]
        held_out[name] = (
            embedded(part, validation.images, "people held out"),
            validation,
        )
    if not add:
        train = dataset.train
        rows = embedded(config, train, "training images")[EQUAL]
        start = directions(rows, width)
        batches = _batches(train.pid, train.clothes, config.seed)
        for temperature in _TEMPERATURES:
            kernel = fit(rows, train.pid, batches, start, temperature)
            candidates[f"projection, {temperature}"] = kernel
    scores: Scores = {}

    def score(title: str, kind: str, kernel: np.ndarray | None = None) -> None:
        scores[title] = {
            f"{name}/{rule}".removeprefix("/"): value
            for name, (of, validation) in held_out.items()
            for rule, value in _mean_precisions(of[kind], validation, kernel).items()
        }

    for name in (*names, EQUAL, AS_IT_IS):
        score(name, name)
    gains = {}
    others = [scores[name] for name in (*names, EQUAL)]
    for title, kernel in candidates.items():
        score(title, EQUAL, kernel)
        gains[title] = least_gain(scores[title], others)
    best = max(gains, key=gains.get)
    return Combination(candidates[best], best, gains[best], scores)


def of_network(saved: ConfigDict, config: ConfigDict) -> ConfigDict:
    """The network's config, with `data` and `eval` of another one.

    On the dataset that it was trained on, the same people are held out; on another one,
    those that `config` holds out.
    """
    found = with_network_of(saved, config)
    if not has_own_datasets(saved, config):
        for field in ("validation", "validation_fraction"):
            found.data[field] = config.data[field]
    return found


def least_gain(
    scores: Mapping[str, float], others: Sequence[Mapping[str, float]]
) -> float:
    """The least gain over all tests, each on the best of the others there."""
    return min(
        value - max(other[test] for other in others) for test, value in scores.items()
    )


def directions(rows: np.ndarray, width: int) -> np.ndarray:
    """The orthonormal directions along which rows are longest, float32 [d, width].

    Between these, inner products of rows [n, d] stay the same as far as they can.

    Raises:
      ValueError: if there are fewer rows or numbers than the width.
    """
    most = min(rows.shape)
    if not 1 <= width <= most:
        raise ValueError(
            f"--width={width} is impossible: {len(rows)} images with embeddings of "
            f"{rows.shape[1]} numbers allow 1 to {most}"
        )
    squares = rows.T.astype(np.float64) @ rows
    return np.linalg.eigh(squares)[1][:, ::-1][:, :width].astype(np.float32)


def fit(
    rows: np.ndarray,
    pid: np.ndarray,
    batches: np.ndarray,
    start: np.ndarray,
    temperature: float,
) -> np.ndarray:
    """Fits a projection by the supervised contrastive loss; a pure function.

    Args:
      rows: float32 [n, d], the branches' embeddings side by side.
      pid: int [n], the persons.
      batches: int [steps, b], rows of each step.
      start: float32 [d, width], the projection to start with.
      temperature: of the loss.

    Returns:
      float32 [d, width].
    """
    rate = optax.warmup_cosine_decay_schedule(0, _RATE, _WARMUP, len(batches))
    optimizer = optax.adam(rate)

    @jax.jit
    def run(kernel, rows, pid, batches):
        def loss(kernel, batch):
            combined = l2_normalize(rows[batch] @ kernel)
            return supervised_contrastive(combined, pid[batch], temperature)

        def step(state, batch):
            kernel, memory = state
            updates, memory = optimizer.update(jax.grad(loss)(kernel, batch), memory)
            return (optax.apply_updates(kernel, updates), memory), None

        (kernel, _), _ = jax.lax.scan(step, (kernel, optimizer.init(kernel)), batches)
        return kernel

    return np.asarray(run(start, rows, pid, batches))


def with_projection(network: Network, kernel: np.ndarray) -> Network:
    """The network with a projection of all branches, in place of what it had.

    Args:
      network: of two branches or more.
      kernel: float32 [d, width], of the branches' embeddings in the order of
        `BRANCHES`.
    """
    width = kernel.shape[1]
    params = {**network.variables["params"]}
    params.pop("balance_weights", None)
    like = jax.tree.leaves(params)[0].sharding
    kernel = jax.device_put(jnp.asarray(kernel, jnp.float32), like)
    params["linear_projection"] = {"linear": {"kernel": kernel}}
    config = network.config.copy_and_resolve_references()
    with config.unlocked():
        config.model.projection = width
        config.eval.branches = ()
    return network._replace(
        config=config,
        model=network.model.clone(projection=width),
        variables={**network.variables, "params": params},
    )


def _batches(pid: np.ndarray, clothes: np.ndarray, seed: int) -> np.ndarray:
    persons = min(_PERSONS, len(np.unique(pid)))
    sampler = IdentityBalancedSampler(
        pid,
        clothes,
        batch_size=persons * _IMAGES,
        images_per_identity=_IMAGES,
        seed=seed,
    )
    return np.stack([sampler.batch(step) for step in range(_STEPS)])


def _mean_precisions(rows, validation, kernel) -> dict[str, float]:
    """mAP under each rule that the labels allow, in 0..1."""
    if kernel is not None:
        rows = rows @ kernel
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    images = Embedded(validation.images, {EQUAL: rows})
    query, gallery = (
        images.subset(each) for each in (validation.query, validation.gallery)
    )
    rules = _RULES if validation.rule in _RULES[1:] else (validation.rule,)
    found = {rule: rank(query, gallery, EQUAL, rule, (1,)) for rule in rules}
    return {rule: of.mAP for rule, of in found.items() if of.num_queries}
