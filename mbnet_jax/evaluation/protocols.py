"""Applies protocols to the loaded test splits: who takes part, what is drawn."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from mbnet_jax.data import Protocol, Split
from mbnet_jax.refusals import shown
from mbnet_jax.retrieval.arguments import is_whole
from mbnet_jax.retrieval.labels import get_rule, matches_and_junk

MOST_DRAWS = 10_000  # each is a gallery, ranked once per embedding


def check_protocols(protocols: Sequence[Protocol], splits: Collection[str]) -> None:
    """Checks protocols, which may come from a dataset of one's own.

    Args:
      protocols: of the dataset.
      splits: the names of its test splits.

    Raises:
      ValueError: naming the protocol and what is wrong with it.
    """
    names = [getattr(protocol, "name", None) for protocol in protocols]
    if not names or len({*names}) < len(names):
        raise ValueError(
            f"the dataset needs protocols with different names, got {shown(names)}"
        )
    for protocol in protocols:
        if not isinstance(protocol, Protocol) or not isinstance(protocol.name, str):
            raise ValueError(f"{shown(protocol)} must be a Protocol with a name")
        what = f"protocol {protocol.name!r}"
        for side in ("query", "gallery"):
            split = getattr(protocol, side)
            if not isinstance(split, str) or split not in splits:
                raise ValueError(
                    f"{what}: {side}={shown(split)} must be one of the test splits "
                    f"{sorted(splits)}"
                )
        try:
            get_rule(protocol.rule)
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from error
        cameras, draws = protocol.cameras, protocol.draws
        if not isinstance(cameras, tuple | list) or not all(map(is_whole, cameras)):
            raise ValueError(
                f"{what}: cameras={shown(cameras)} must be a tuple of whole numbers"
            )
        if not is_whole(draws) or not 0 <= draws <= MOST_DRAWS:
            raise ValueError(
                f"{what}: draws={shown(draws)} must be a whole number from 0 to "
                f"{MOST_DRAWS}"
            )


def usable_protocols(
    protocols: Sequence[Protocol], test: Mapping[str, Split]
) -> tuple[tuple[Protocol, ...], list[str]]:
    """Selects the protocols whose labels and cameras the test splits have.

    If none is left, every gallery image of the query's person is a true match (the
    rule "any").

    Args:
      protocols: of the dataset, `Dataset.protocols`.
      test: its test splits by name, `Dataset.test`.

    Returns:
      The protocols, and notes to print: whether tracklets are ranked, which protocols
      are left out, and how many queries have no true match.

    Raises:
      ValueError: a protocol is wrong, or its split has no images.
    """
    check_protocols(protocols, test)
    for name in sorted({s for p in protocols for s in (p.query, p.gallery)}):
        if not len(test[name]):
            raise ValueError(f"the test split {name!r} has no images; add some")
    known = frozenset.intersection(*(split.known for split in test.values()))
    usable, notes = [], _tracklet_notes(test)
    for protocol in protocols:
        needs = get_rule(protocol.rule).needs
        missing = sorted(needs.union(["camera"] if protocol.cameras else ()) - known)
        empty = [
            side
            for side in ("query", "gallery")
            if not len(participants(protocol, test[getattr(protocol, side)]))
        ]
        if missing:
            labels = " and no ".join(missing)
            notes.append(f"{protocol.title} is left out: no {labels} labels")
        elif empty:
            cameras = ", ".join(_camera_names(protocol.cameras, test))
            notes.append(
                f"{protocol.title} is left out: no {' and no '.join(empty)} image is "
                f"from its cameras {cameras}"
            )
        else:
            usable.append(protocol)
    if not usable:
        first = protocols[0]
        usable = [Protocol("any", first.query, first.gallery, "any")]
        notes.append(
            "any: every gallery image of the query's person is a true match, also "
            "one from the same camera"
        )
    for protocol in usable:
        query = test[protocol.query]
        query = query.subset(participants(protocol, query))
        gallery = test[protocol.gallery]
        gallery = gallery.subset(participants(protocol, gallery))
        matches, _ = matches_and_junk(query.labels, gallery.labels, protocol.rule)
        without = int((matches.counts == 0).sum())
        if without:
            notes.append(
                f"{protocol.title}: {without} of {len(query)} queries have no true "
                "match in the gallery and are left out of the means"
                + (", so it has no scores" if without == len(query) else "")
            )
    return tuple(usable), notes


def _tracklet_notes(test: Mapping[str, Split]) -> list[str]:
    counted = [
        f"{len(split):,} of {name} ({split.number_of_images:,} images)"
        for name, split in test.items()
        if split.frames
    ]
    text = "tracklets are ranked, each by the mean of its images' embeddings: "
    return [text + ", ".join(counted)] if counted else []


def _camera_names(cameras: Sequence[int], test: Mapping[str, Split]) -> list[str]:
    """Names cameras as the images of the test splits do, or else from 1."""
    names: dict[int, str] = {}
    for split in test.values():
        for camera, index in zip(
            *np.unique(split.camera, return_index=True), strict=True
        ):
            names.setdefault(int(camera), split.shown(index).camera)
    return [names.get(camera, str(camera + 1)) for camera in cameras]


def participants(protocol: Protocol, split: Split) -> np.ndarray:
    """Indices of the images of `split` that take part, int [n]."""
    if not protocol.cameras:
        return np.arange(len(split))
    return np.flatnonzero(np.isin(split.camera, protocol.cameras))


def draw_gallery(pid: np.ndarray, seed: int, draw: int) -> np.ndarray:
    """Draws one random image per person, as a function of (seed, draw).

    Args:
      pid: int [n], the person of each gallery image.
      seed: `eval.draw_seed`.
      draw: number of the draw.

    Returns:
      Ascending indices, int [persons].
    """
    rng = np.random.default_rng([seed, draw])
    shuffled = rng.permutation(len(pid))
    return np.sort(shuffled[np.unique(pid[shuffled], return_index=True)[1]])


def drawn_protocol(protocols: Sequence[Protocol]) -> Protocol:
    """The protocol whose ranked lists are shown: the last multi-shot one, if any."""
    return ([p for p in protocols if not p.draws] or protocols)[-1]
