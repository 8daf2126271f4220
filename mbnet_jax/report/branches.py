"""Pictures of what each branch looks at, for the images that a report names."""

from collections.abc import Sequence

import jax
import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.data import Split
from mbnet_jax.data.loader import load_example
from mbnet_jax.evaluation.table import title_of
from mbnet_jax.models import BRANCHES
from mbnet_jax.report import heat
from mbnet_jax.report.images import Images
from mbnet_jax.report.lists import camera_of, clothes_of
from mbnet_jax.report.looks import Looks, looks
from mbnet_jax.runs.load import Trained

# A map of `Looks`: what it is called, and what its values are.
MAPS = {
    "gate": ("KTM's gate", "0 to 1"),
    "attention": ("FAM's attention", "0 to 1"),
    "asked": ("CFM: what the silhouette asks", "times an even share"),
}
# The pictures in their order: a view, or a map over one.
_VIEWS = {"image": "the image", "crops": "head over legs", "silhouette": "silhouette"}
_PICTURES = (
    ("image", None),
    ("image", "gate"),
    ("crops", None),
    ("crops", "attention"),
    ("silhouette", None),
    ("crops", "asked"),
)

Target = tuple[str, Split, int]  # heading, split, place in it


def look_at(
    config: ConfigDict, trained: Trained, targets: Sequence[Target], images: Images
) -> tuple[list[dict], list[dict]]:
    """Pictures and balance of each target, and what the maps' colours mean.

    A map's colours have one scale for all targets.
    """
    if not targets:
        return [], []
    examples = [load_example(split, index, config.data) for _, split, index in targets]
    pixels, parsing = (
        np.stack([example[part] for example in examples])
        for part in ("image", "parsing")
    )
    seen = looks_of(config, trained, pixels, parsing)
    views = {"image": pixels, "crops": seen.crops, "silhouette": seen.silhouette}
    maps = {name: getattr(seen, name) for name in MAPS}
    scales = {
        n: heat.range_of(values) for n, values in maps.items() if values is not None
    }
    shown = []
    for row, (heading, split, index) in enumerate(targets):
        file = split.names[index]
        pictures = []
        for view, name in _PICTURES:
            if views[view] is None or (name and name not in scales):
                continue
            picture, caption, key = views[view][row], _VIEWS[view], file
            if name:
                values = maps[name][row]
                picture = heat.over(picture, values, *scales[name])
                caption = f"{MAPS[name][0]}: {values.min():.2f} to {values.max():.2f}"
            if view != "image" or name:
                key = (file, view, name)
            number = images.add(key, lambda picture=picture: picture)
            pictures.append({"image": number, "caption": caption})
        weights = seen.balance or {}
        balance = {  # in the order of the table
            title_of(branch): float(weights[branch][row])
            for branch in BRANCHES
            if branch in weights
        }
        shown.append(
            {
                "heading": heading,
                "file": file,
                "camera": camera_of(split, index),
                "clothes": clothes_of(split, index),
                "pictures": pictures,
                "balance": balance,
            }
        )
    legend = [
        {"title": MAPS[name][0], "unit": MAPS[name][1], "low": low, "high": high}
        for name, (low, high) in scales.items()
    ]
    return shown, legend


def looks_of(
    config: ConfigDict, trained: Trained, image: np.ndarray, parsing: np.ndarray
) -> Looks:
    """`looks` of all images, in batches of one shape; the last repeats an image."""
    size = min(config.eval.batch_size, len(image))
    run = looks(config, trained.model)
    # The weights are on all processes' devices; what runs here runs on one.
    variables = jax.device_get(trained.variables)
    parts = []
    for start in range(0, len(image), size):
        rows = np.minimum(np.arange(start, start + size), len(image) - 1)
        parts.append(run(variables, image[rows], parsing[rows]))
    return jax.tree.map(lambda *of: np.concatenate(of)[: len(image)], *parts)
