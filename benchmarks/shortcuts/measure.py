"""The measures of one run: shortcuts by the camera, and by the background."""

import itertools
from collections.abc import Callable

import numpy as np

from benchmarks.shortcuts.background import (
    choose_donors,
    cosine_with,
    cosines_between,
    paste,
    share_of_own_camera,
)
from benchmarks.shortcuts.camera import (
    DRAWS,
    as_many_removed,
    centred,
    mean_precision,
    other_cameras,
    own_camera,
)
from benchmarks.shortcuts.images import Images, Read, embed_images
from mbnet_jax.evaluation.embed import Embeddings
from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.evaluation.results import query_and_galleries, rank
from mbnet_jax.retrieval import RankedLists, ranked_lists
from mbnet_jax.runs.network import Network

# Table -> row (embedding, and case or protocol if any) -> column -> value.
Values = dict[str, dict[tuple[str, ...], dict[str, float]]]

NEIGHBOURS, CAMERA = "neighbours", "camera"
COSINES, BACKGROUND = "cosines", "background"
OWN, ANOTHER, ANY = "own", "another", "any"  # camera whose background is pasted
UNCHANGED = "unchanged"


def measure(network: Network, program: Callable, images: Images, seed: int) -> Values:
    """Measures one run; returns all tables.

    Args:
      network: the run's network.
      program: the function that `make_embed` compiled for it.
      images: the test images.
      seed: of donors and controls, combined with the run's own seed: the std over runs
        includes that of the random draws.

    Raises:
      ValueError: if an image cannot be read, or has no donor.
    """
    labels = images.labels
    rng = np.random.default_rng([seed, network.config.seed])
    donors = {
        where: choose_donors(labels, where == OWN, rng) for where in (OWN, ANOTHER)
    }

    def embed(read: Read) -> Embeddings:
        count = len(labels.pid)
        return embed_images(program, network.variables, read, count, network.config)

    embeddings = {UNCHANGED: embed(images.read)}
    embeddings |= {
        where: embed(_pasting(images, chosen)) for where, chosen in donors.items()
    }
    # "Any" background: an image keeps one of its own camera with the probability of
    # chance, so the background carries no information about the camera.
    stays = rng.random(len(labels.pid)) < share_of_own_camera(labels)
    embeddings[ANY] = {
        name: np.where(stays[:, None], embeddings[OWN][name], other)
        for name, other in embeddings[ANOTHER].items()
    }
    seen = np.where(stays, labels.camera, labels.camera[donors[ANOTHER]])
    return {
        NEIGHBOURS: _neighbours(images, embeddings, seen),
        CAMERA: _camera(images, embeddings[UNCHANGED], rng),
        COSINES: {
            (name,): {
                where: cosine_with(rows, embeddings[where][name])
                for where in (OWN, ANOTHER)
            }
            | cosines_between(rows, labels)
            for name, rows in embeddings[UNCHANGED].items()
        },
        BACKGROUND: _background(images, embeddings),
    }


def _pasting(images: Images, donors: np.ndarray) -> Read:
    """Returns a function that reads images with their donors' backgrounds."""

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        image, parsing = images.read(index)
        return paste(image, parsing, *images.read(int(donors[index]))), parsing

    return read


def _neighbours(
    images: Images, embeddings: dict[str, Embeddings], seen: np.ndarray
) -> dict[tuple[str, ...], dict[str, float]]:
    """By the person's camera and, if it differs, by that of the background `seen`."""
    cases = {
        UNCHANGED: (UNCHANGED, images),
        "own camera's background": (OWN, images),
        "any background, camera of the person": (ANY, images),
        "any background, camera of the background": (ANY, images.with_cameras(seen)),
    }
    return {
        (name, case): own_camera(
            *_ranked(labelled, embeddings[where], labelled.protocols[0], name)
        )
        for name in embeddings[UNCHANGED]
        for case, (where, labelled) in cases.items()
    }


def _camera(
    images: Images, embeddings: Embeddings, rng: np.random.Generator
) -> dict[tuple[str, ...], dict[str, float]]:
    camera = images.labels.camera
    residual = {name: centred(rows, camera) for name, rows in embeddings.items()}
    found = {}
    for name, protocol in itertools.product(embeddings, images.protocols):
        ranked = _ranked(images, embeddings, protocol, name, protocol.rule)
        lists, query, gallery = ranked
        others = mean_precision(lists, other_cameras(query, gallery))
        controls = [
            mean_precision(lists, as_many_removed(query, gallery, rng))
            for _ in range(DRAWS)
        ]
        control = float(np.mean(controls))
        found[name, protocol.title] = {
            UNCHANGED: _mean_precision(images, embeddings, protocol, name),
            "centred": _mean_precision(images, residual, protocol, name),
            "other cameras": others,
            "control": control,
            "difference": others - control,
        }
    return found


def _background(
    images: Images, embeddings: dict[str, Embeddings]
) -> dict[tuple[str, ...], dict[str, float]]:
    found = {}
    for name, protocol in itertools.product(embeddings[UNCHANGED], images.protocols):
        values = {
            where: _mean_precision(images, pasted, protocol, name)
            for where, pasted in embeddings.items()
        }
        values["difference"] = values[ANY] - values[OWN]
        found[name, protocol.title] = values
    return found


def _ranked(
    images: Images,
    embeddings: Embeddings,
    protocol: Protocol,
    name: str,
    rule: str = "any",
) -> tuple[RankedLists, ...]:
    """Ranks the whole gallery by embedding `name`; returns lists, and both labels."""
    query, (gallery,) = query_and_galleries(
        images.embedded(embeddings), protocol, seed=0
    )
    labels = query.split.labels, gallery.split.labels
    lists = ranked_lists(
        query.embeddings[name],
        labels[0],
        gallery.embeddings[name],
        labels[1],
        rule=rule,
        k=len(gallery.split),
    )
    return lists, *labels


def _mean_precision(
    images: Images, embeddings: Embeddings, protocol: Protocol, name: str
) -> float:
    query, (gallery,) = query_and_galleries(
        images.embedded(embeddings), protocol, seed=0
    )
    return rank(query, gallery, name, protocol.rule, ranks=(1,)).mAP
