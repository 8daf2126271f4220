"""The measures of one run: what leans on the camera, what on the background."""

from collections.abc import Callable

import numpy as np

from benchmarks.leaning.background import (
    choose_donors,
    cosine_with,
    cosines_between,
    paste,
    share_of_own_camera,
)
from benchmarks.leaning.camera import (
    DRAWS,
    as_many_removed,
    centred,
    mean_precision,
    other_cameras,
    own_camera,
)
from benchmarks.leaning.images import Images, Read, embed_images
from mbnet_jax.evaluation.embed import Embeddings
from mbnet_jax.evaluation.measure import rank, sides
from mbnet_jax.evaluation.protocols import Protocol
from mbnet_jax.retrieval import RankedLists, ranked_lists
from mbnet_jax.trained import Trained

# Table -> row (embedding, and protocol where there are several) -> column -> value.
Values = dict[str, dict[tuple[str, ...], dict[str, float]]]

NEIGHBOURS, CAMERA, COSINES, BACKGROUND = TABLES = (
    "neighbours",
    "camera",
    "cosines",
    "background",
)
OWN, ANOTHER, ANY = "own", "another", "any"  # whose background is pasted


def measure(trained: Trained, program: Callable, images: Images, seed: int) -> Values:
    """All tables of one run.

    Args:
      trained: its network.
      program: what `make_embed` compiled for it.
      images: what it is tested on.
      seed: of donors and controls, which are the same for every run.

    Raises:
      ValueError: if an image cannot be read, or has no donor.
    """

    def embed(read: Read) -> Embeddings:
        count = len(images.labels.pid)
        return embed_images(program, trained.variables, read, count, trained.config)

    own = embed(images.read)
    pasted = {
        where: embed(_pasting(images, where == OWN, seed)) for where in (OWN, ANOTHER)
    }
    return _camera_tables(images, own, seed) | _background_tables(
        images, own, pasted, seed
    )


def _pasting(images: Images, same: bool, seed: int) -> Read:
    """Reads images on the background of one of the same camera, or of another one."""
    donors = choose_donors(images.labels, same, np.random.default_rng([seed, same]))

    def read(place: int) -> tuple[np.ndarray, np.ndarray]:
        image, parsing = images.read(place)
        return paste(image, parsing, *images.read(int(donors[place]))), parsing

    return read


def _camera_tables(images: Images, embeddings: Embeddings, seed: int) -> Values:
    camera = images.labels.camera
    without = {name: centred(rows, camera) for name, rows in embeddings.items()}
    neighbours, ranked = {}, {}
    for name in embeddings:
        lists, query, gallery = _ranked(images, embeddings, images.protocols[0], name)
        neighbours[(name,)] = own_camera(lists, query, gallery)
        for protocol in images.protocols:
            lists, query, gallery = _ranked(
                images, embeddings, protocol, name, protocol.rule
            )
            rng = np.random.default_rng([seed, 2])
            others = mean_precision(lists, other_cameras(query, gallery))
            control = np.mean(
                [
                    mean_precision(lists, as_many_removed(query, gallery, rng))
                    for _ in range(DRAWS)
                ]
            )
            ranked[name, protocol.title] = {
                "as_it_is": _mean_precision(images, embeddings, protocol, name),
                "centred": _mean_precision(images, without, protocol, name),
                "control": float(control),
                "other_cameras": others,
                "gain": others - float(control),
            }
    return {NEIGHBOURS: neighbours, CAMERA: ranked}


def _background_tables(
    images: Images, own: Embeddings, pasted: dict[str, Embeddings], seed: int
) -> Values:
    # A background of any camera: each image has that of its own as often as chance
    # has it, so that none tells the camera, not even which it was not.
    labels = images.labels
    rng = np.random.default_rng([seed, 3])
    stays = rng.random(len(labels.pid)) < share_of_own_camera(labels)
    pasted = pasted | {
        ANY: {
            name: np.where(stays[:, None], pasted[OWN][name], pasted[ANOTHER][name])
            for name in own
        }
    }
    cosines, ranked = {}, {}
    for name, rows in own.items():
        cosines[(name,)] = {
            where: cosine_with(rows, pasted[where][name]) for where in (OWN, ANOTHER)
        } | cosines_between(rows, labels)
        for protocol in images.protocols:
            values = {
                where: _mean_precision(images, rows_of, protocol, name)
                for where, rows_of in ({"as_it_is": own} | pasted).items()
            }
            values["gain"] = values[ANY] - values[OWN]
            ranked[name, protocol.title] = values
    return {COSINES: cosines, BACKGROUND: ranked}


def _ranked(
    images: Images,
    embeddings: Embeddings,
    protocol: Protocol,
    name: str,
    rule: str = "any",
) -> tuple[RankedLists, ...]:
    """The whole gallery ranked by embedding `name`, and the labels of both sides."""
    query, (gallery,) = sides(images.embedded(embeddings), protocol, seed=0)
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
    query, (gallery,) = sides(images.embedded(embeddings), protocol, seed=0)
    return rank(query, gallery, name, protocol.rule, ranks=(1,)).mAP
