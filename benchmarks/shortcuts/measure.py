"""The measures of one run: what leans on the camera, what on the background."""

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
from mbnet_jax.runs.load import Trained

# Table -> row (embedding, and case or protocol if it has several) -> column -> value.
Values = dict[str, dict[tuple[str, ...], dict[str, float]]]

NEIGHBOURS, CAMERA = "neighbours", "camera"
COSINES, BACKGROUND = "cosines", "background"
OWN, ANOTHER, ANY = "own", "another", "any"  # whose background is pasted
AS_IT_IS = "as it is"


def measure(trained: Trained, program: Callable, images: Images, seed: int) -> Values:
    """All tables of one run.

    Args:
      trained: its network.
      program: what `make_embed` compiled for it.
      images: what it is tested on.
      seed: of donors and controls, together with the run's own seed: so deviations
        over runs have those of the drawing in them.

    Raises:
      ValueError: if an image cannot be read, or has no donor.
    """
    labels = images.labels
    rng = np.random.default_rng([seed, trained.config.seed])
    donors = {
        where: choose_donors(labels, where == OWN, rng) for where in (OWN, ANOTHER)
    }

    def embed(read: Read) -> Embeddings:
        count = len(labels.pid)
        return embed_images(program, trained.variables, read, count, trained.config)

    made = {AS_IT_IS: embed(images.read)}
    made |= {where: embed(_pasting(images, of)) for where, of in donors.items()}
    # A background of any camera: each image has that of its own as often as chance
    # has it, so that none tells the camera, not even which it was not.
    stays = rng.random(len(labels.pid)) < share_of_own_camera(labels)
    made[ANY] = {
        name: np.where(stays[:, None], made[OWN][name], made[ANOTHER][name])
        for name in made[OWN]
    }
    seen = np.where(stays, labels.camera, labels.camera[donors[ANOTHER]])
    return {
        NEIGHBOURS: _neighbours(images, made, seen),
        CAMERA: _camera(images, made[AS_IT_IS], rng),
        COSINES: {
            (name,): {
                where: cosine_with(rows, made[where][name]) for where in (OWN, ANOTHER)
            }
            | cosines_between(rows, labels)
            for name, rows in made[AS_IT_IS].items()
        },
        BACKGROUND: _background(images, made),
    }


def _pasting(images: Images, donors: np.ndarray) -> Read:
    """Reads images on the background of their donors."""

    def read(place: int) -> tuple[np.ndarray, np.ndarray]:
        image, parsing = images.read(place)
        return paste(image, parsing, *images.read(int(donors[place]))), parsing

    return read


def _neighbours(
    images: Images, made: dict[str, Embeddings], seen: np.ndarray
) -> dict[tuple[str, ...], dict[str, float]]:
    """By the camera of the person; where they differ, also of the background `seen`."""
    cases = {
        AS_IT_IS: (AS_IT_IS, images),
        "own camera's background": (OWN, images),
        "any background, camera of the person": (ANY, images),
        "any background, camera of the background": (ANY, images.as_from(seen)),
    }
    return {
        (name, case): own_camera(*_ranked(of, made[where], of.protocols[0], name))
        for name in made[AS_IT_IS]
        for case, (where, of) in cases.items()
    }


def _camera(
    images: Images, embeddings: Embeddings, rng: np.random.Generator
) -> dict[tuple[str, ...], dict[str, float]]:
    camera = images.labels.camera
    without = {name: centred(rows, camera) for name, rows in embeddings.items()}
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
            AS_IT_IS: _mean_precision(images, embeddings, protocol, name),
            "centred": _mean_precision(images, without, protocol, name),
            "other cameras": others,
            "control": control,
            "difference": others - control,
        }
    return found


def _background(
    images: Images, made: dict[str, Embeddings]
) -> dict[tuple[str, ...], dict[str, float]]:
    found = {}
    for name, protocol in itertools.product(made[AS_IT_IS], images.protocols):
        values = {
            where: _mean_precision(images, embeddings, protocol, name)
            for where, embeddings in made.items()
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
    """The whole gallery ranked by embedding `name`, and the labels of both sides."""
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
