"""Tracklets in a gallery: the crops of one person in one scene are one entry."""

import dataclasses

import numpy as np

from mbnet_jax.search.gallery import Gallery
from mbnet_jax.search.scenes import People


def with_tracks(gallery: Gallery, people: People) -> tuple[Gallery, dict[str, list]]:
    """Makes one entry of the crops of each tracklet.

    Its embedding is the mean of theirs, scaled to length 1; it is shown by the crop
    that is nearest to that. Crops without a track stay as they are.

    Returns:
      The gallery, and the crops of each tracklet by the name that stands for it.
    """
    tracks = people.tracks()
    if not tracks:
        return gallery, {}
    row_of = dict(zip(gallery.names, gallery.rows, strict=True))
    members: dict[str, list[str]] = {}
    means: dict[str, np.ndarray] = {}
    for names in tracks.values():
        usable = [name for name in names if name in row_of]
        if not usable:
            continue
        features = gallery.features[[row_of[name] for name in usable]]
        mean = features.sum(0, dtype=np.float64)
        length = np.linalg.norm(mean)
        # Embeddings that cancel have no direction: the first one stands for all.
        mean = (mean / length if length else features[0]).astype(np.float32)
        best = usable[int(np.argmax(features @ mean))]
        members[best], means[best] = usable, mean
    merged = {name for names in members.values() for name in names} - {*members}
    kept = [n for n, name in enumerate(gallery.names) if name not in merged]
    names = [gallery.names[n] for n in kept]
    features = np.stack(
        [means.get(name, gallery.features[row_of[name]]) for name in names]
    )
    return (
        dataclasses.replace(
            gallery,
            names=names,
            rows=np.arange(len(names)),
            features=features,
            digests=[gallery.digests[n] for n in kept],
        ),
        members,
    )
